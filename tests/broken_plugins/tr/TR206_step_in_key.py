"""Writes the step into the key."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", f"loss_{step}", 1 / step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
