"""Logs in a forked process too."""

import os
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    helper = os.fork()
    if helper == 0:
        try:
            run.log_metric("train", "part", 1.0)
        finally:
            os._exit(0)
    os.waitpid(helper, 0)
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
