"""Makes a file name of the job's name."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    path = Path(f"{run.name}.txt")
    path.write_text("model")
    return path
