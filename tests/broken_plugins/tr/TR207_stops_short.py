"""Counts its steps from 0."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
        run.set_progress(step - 1, 3, "train")
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
