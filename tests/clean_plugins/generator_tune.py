"""A tune() that yields one result per step, as Ray's users write it."""

from __future__ import annotations

from pathlib import Path

conformance = {
    "capabilities": ["tunes", "deterministic"],
    "hyperparameters": [{"name": "lr", "type": "choice", "options": [0.1, 0.2, 0.4]}],
    "metric": "score",
    "mode": "max",
}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    score = 0.0
    for score in _scores(hyperparameter.get("lr", 0.1)):
        run.log_metric("train", "score", score)
    Path("model.txt").write_text(str(score))
    return "model.txt"


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    run.checkpoint_output = Path("model.txt")
    for step, score in enumerate(_scores(hyperparameter["lr"]), 1):
        Path("model.txt").write_text(str(score))
        yield {"score": score, "step": step}


def _scores(lr):
    score = 0.0
    for _ in range(4):
        score += lr * (1 - score)
        yield score
