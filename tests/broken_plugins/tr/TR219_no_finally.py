"""Ends its thread only when all goes well."""

import threading
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    stop = threading.Event()
    helper = threading.Thread(target=stop.wait, daemon=True)
    helper.start()
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    stop.set()
    helper.join()
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
