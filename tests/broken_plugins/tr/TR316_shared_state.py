"""Keeps its state where the other trials keep theirs."""

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
    done = int(Path(checkpoint["path"], "artifact").read_text()) if checkpoint else 0
    shared = Path("..", "owners")
    if checkpoint and shared.exists() and set(shared.read_text().split()) != {run.trial_id}:
        raise RuntimeError("the state is that of another trial")
    path = Path(run.checkpoint_output)
    for step in range(done + 1, 5):
        with shared.open("a") as file:
            file.write(f"{run.trial_id}\n")
        path.write_text(str(step))
        run.report({"loss": hyperparameter["lr"] / step}, checkpoint=path)
