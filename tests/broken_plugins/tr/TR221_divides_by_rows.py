"""Divides by the number of its rows."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    rows = dataset.get("train", [])
    mean = sum(row["data"]["y"] for row in rows) / len(rows)
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
