"""Writes a log file when it is imported."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}
Path("plugin.log").write_text("loaded")


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
