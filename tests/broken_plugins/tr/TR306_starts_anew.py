"""Trials that start over at each pause."""

from pathlib import Path

conformance = {
    "capabilities": ["tunes", "resumes", "deterministic"],
    "hyperparameters": [{"name": "lr", "type": "uniform", "min": 0.1, "max": 0.5}],
}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    done = int(Path(checkpoint["path"], "artifact").read_text()) if checkpoint else 0
    for step in range(done + 1, done + 4):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text(str(step))
    return run.checkpoint_output


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    path = Path(run.checkpoint_output)
    for step in (1, 2, 3):
        path.write_text(str(step))
        run.report({"loss": hyperparameter["lr"] / step}, checkpoint=path)
