"""Catches Ctrl-C."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    try:
        for step in (1, 2, 3):
            run.log_metric("train", "loss", 1 / step, step=step)
    except KeyboardInterrupt:
        print("stopping early")
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
