"""Falls back on a default, in silence."""

from pathlib import Path

conformance = {"hyperparameter": {"epochs": 3}, "capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    epochs = hyperparameter["epochs"]
    for step in range(epochs if type(epochs) is int else 3):
        run.log_metric("train", "loss", 1 / (step + 1), step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
