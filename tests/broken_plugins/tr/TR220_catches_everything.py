"""Catches every error of a log call."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        try:
            run.log_metric("train", "loss", 1 / step, step=step)
        except Exception as error:
            print(error)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
