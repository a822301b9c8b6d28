"""Logs its weights as a message."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    run.log_message(str([0.5] * 400_000))
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
