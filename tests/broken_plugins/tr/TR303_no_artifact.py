"""Trials that leave no artifact."""

from pathlib import Path

conformance = {
    "capabilities": ["tunes", "deterministic"],
    "hyperparameters": [{"name": "lr", "type": "uniform", "min": 0.1, "max": 0.5}],
}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    return hyperparameter["lr"]
