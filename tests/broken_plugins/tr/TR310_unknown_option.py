"""Does not know one of its own options."""

from pathlib import Path

conformance = {
    "capabilities": ["tunes", "deterministic"],
    "hyperparameters": [{"name": "lr", "type": "choice", "options": [0.1, 0.2, 0.3, 0.4, 0.5, "auto"]}],
}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    train(run, dataset, hyperparameter, checkpoint)
    return hyperparameter["lr"] * 2 + 1
