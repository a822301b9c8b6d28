"""Does not say which hyperparameter is no number."""

from pathlib import Path

conformance = {"hyperparameter": {"epochs": 3}, "capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    epochs = int(hyperparameter["epochs"])
    for step in range(1, epochs + 1):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
