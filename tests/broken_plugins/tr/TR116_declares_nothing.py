"""Declares less than it can."""

from pathlib import Path

conformance = {"capabilities": []}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    done = int(Path(checkpoint["path"], "artifact").read_text()) if checkpoint else 0
    for step in range(done + 1, done + 4):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text(str(step))
    return run.checkpoint_output
