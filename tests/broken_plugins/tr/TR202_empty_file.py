"""Returns an empty file."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("")
    return run.checkpoint_output
