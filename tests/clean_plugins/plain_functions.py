"""Plain functions: trains, tunes, resumes, repeats."""

from __future__ import annotations

import json
import random
from pathlib import Path

conformance = {
    "capabilities": ["tunes", "resumes", "deterministic"],
    "hyperparameter": {"epochs": 3, "lr": 0.3},
    "hyperparameters": [
        {"name": "lr", "type": "loguniform", "min": 0.01, "max": 0.9, "base": 10},
        {"name": "epochs", "type": "randint", "min": 2, "max": 4},
    ],
}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for state in _epochs(run, dataset, hyperparameter, checkpoint):
        run.log_metric("train", "loss", state["loss"], epoch=state["epoch"])
        run.set_progress(state["epoch"], state["of"], "train")
    run.log_message("trained", "success")
    return run.checkpoint_output


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    run.checkpoint_output = folder = Path(run.checkpoint_output)
    for state in _epochs(run, dataset, hyperparameter, checkpoint):
        run.report({"loss": state["loss"], "epoch": state["epoch"]}, checkpoint=folder)


def _epochs(run, dataset, hyperparameter, checkpoint):
    settings = {"lr": 0.1, **hyperparameter}
    for name, value in settings.items():
        if type(value) not in (int, float):
            raise ValueError(f"hyperparameter {name} must be a number, got {value!r}")
    if "epochs" not in settings:
        raise ValueError("hyperparameter epochs is missing")
    rows = list(dataset.get("train", ()))
    if not rows:
        raise ValueError("the dataset has no rows of category train")
    rng = random.Random(run.seed)
    state = {"epoch": 0, "weight": rng.random()}
    if checkpoint is not None:
        state = json.loads(Path(checkpoint["path"], "state.json").read_text())
    folder = Path(run.checkpoint_output)
    folder.mkdir(exist_ok=True)
    first = state["epoch"] + 1
    last = first + settings["epochs"] - 1
    for epoch in range(first, last + 1):
        weight = state["weight"] * (1 - settings["lr"])
        state = {"epoch": epoch, "weight": weight, "loss": weight**2, "of": last}
        (folder / "state.json").write_text(json.dumps(state))
        yield state
