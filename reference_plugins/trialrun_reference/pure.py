"""The tutorial: a linear model fitted by gradient descent, in plain Python.

Rows of the category `train` look like `{"data": {"x": [1.0, 2.0], "y": 3.0}}`; without any, it fits y = 2x + 1.
Hyperparameters: `epochs` (in total, resumed runs included), `learning_rate` (0.01 to 0.9) and `l2` (default 0).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

__all__ = ["conformance", "train", "tune"]

_EPOCHS = {"name": "epochs", "type": "choice", "options": [2, 3]}  # used by `trialrun check`
_RATE = {"name": "learning_rate", "type": "uniform", "min": 0.05, "max": 0.5}
conformance = {"hyperparameter": {"epochs": 3, "learning_rate": 0.1}, "hyperparameters": [_EPOCHS, _RATE]}


def train(run: Any, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> str:
    """Train one model and return the path of its artifact."""
    folder = Path(run.checkpoint_output)
    for model in _run_epochs(dataset, hyperparameter, checkpoint):
        _save_model(model, folder)
        run.log_metric("train", "loss", model["loss"], epoch=model["epoch"])
        run.set_progress(model["epoch"], max(model["epoch"], hyperparameter["epochs"]), "train")
    return str(folder)


def tune(hyperparameter: dict[str, Any], run: Any, dataset: Any, checkpoint: dict[str, Any] | None) -> None:
    """Run one trial (the parameters differ in order from train()), with a result and a checkpoint after every epoch.

    A paused trial is called again later, with the last checkpoint that it reported as `checkpoint`.
    """
    run.checkpoint_output = folder = Path(run.checkpoint_output)  # set first: a stopped trial has an artifact too
    for model in _run_epochs(dataset, hyperparameter, checkpoint):
        _save_model(model, folder)
        run.log_metric("train", "loss", model["loss"], epoch=model["epoch"])
        run.report({"loss": model["loss"], "epoch": model["epoch"]}, checkpoint=folder)


def _run_epochs(dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> Any:
    """Yield the model after each epoch; a checkpoint that has had all epochs is yielded once, unchanged."""
    epochs = int(_read_number(hyperparameter, "epochs", least=1))
    rate = _read_number(hyperparameter, "learning_rate", least=0)
    points, decay = _read_points(dataset), 2 * _read_number({"l2": 0, **hyperparameter}, "l2", least=0)
    fresh: dict[str, Any] = {"epoch": 0, "bias": 0.0, "weights": [0.0] * len(points[0][0])}
    model = json.loads(Path(checkpoint["path"], "model.json").read_text("utf-8")) if checkpoint else fresh
    if model["epoch"] >= epochs:
        yield model
    for epoch in range(model["epoch"] + 1, epochs + 1):
        slopes = [2 * _compute_error(model, x, y) / len(points) for x, y in points]
        grad = [sum(s * v for s, v in zip(slopes, c, strict=True)) for c in zip(*(x for x, _ in points), strict=True)]
        weights = [w - rate * (g + decay * w) for w, g in zip(model["weights"], grad, strict=True)]
        model = {"epoch": epoch, "bias": model["bias"] - rate * sum(slopes), "weights": weights}
        model["loss"] = sum(e * e for e in (_compute_error(model, x, y) for x, y in points)) / len(points)
        yield model


def _compute_error(model: dict[str, Any], x: list[float], y: float) -> float:
    return float(model["bias"] + sum(w * v for w, v in zip(model["weights"], x, strict=True)) - y)


def _read_points(dataset: Any) -> list[tuple[list[float], float]]:
    line = [{"data": {"x": i / 10, "y": i / 5 + 1}} for i in range(-10, 11)]
    rows = [row["data"] for row in (dataset or {}).get("train") or line]
    return [(row["x"] if isinstance(row["x"], list) else [float(row["x"])], float(row["y"])) for row in rows]


def _read_number(hyperparameter: dict[str, Any], key: str, *, least: float) -> float:
    value: Any = hyperparameter.get(key)
    if type(value) not in (int, float) or not least <= value < math.inf:
        raise ValueError(f"hyperparameter {key!r} must be a finite number of at least {least}, got {value!r}")
    return float(value)


def _save_model(model: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(model), encoding="utf-8")
