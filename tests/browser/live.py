"""A study that is reported step by step, as a client of the platform would."""

from __future__ import annotations

import json
from typing import Any

from trialrun.recorder import Recorder

PARAMS = {"name": "a study", "is_tune": True, "tune_config": {"metric": "accuracy", "mode": "max"}}
COLUMNS = {
    "base": ["trial_id", "status"],
    "hyperparameters": ["rate", "kind"],
    "metrics": ["accuracy", "loss"],
}
HOSTILE = {
    "tag": "<img src=x onerror=window.hacked=1>",
    "script": "</script><script>window.hacked=1</script>",
    "right to left": "\u202eevil \u05e9\u05dc\u05d5\u05dd",
    "prototype": "__proto__",
    "quotes": "\"'`${window.hacked=1}",
    "long": "x" * 10_000,
}


def send(recorder: Recorder, event: str, data: Any, **more: Any) -> None:
    body = json.dumps({"event": event, "job": 1, "data": data, **more}).encode()
    assert recorder.handle("POST", "logs", body=body).status == 201


def row(
    recorder: Recorder, trial: str, status: str, rate: float, kind: str, accuracy: float | None, **more: float
) -> None:
    """One trial's row, as a delta of the table."""
    loss = None if accuracy is None else 1 - accuracy
    cells = {"base": [trial, status], "hyperparameters": [rate, kind], "metrics": [accuracy, loss]}
    every = {"accuracy": accuracy, "loss": loss, **more}
    send(recorder, "trials_delta", {**COLUMNS, "trials": {trial: {**cells, "all_metrics": every}}})


def report(recorder: Recorder, trial: str, *accuracies: float) -> None:
    for step, accuracy in enumerate(accuracies, 1):
        metrics = {"accuracy": accuracy, "loss": 1 - accuracy}
        send(recorder, "trial_result", {"trial_id": trial, "iteration": step, "metrics": metrics}, trial=trial)


def small_study(recorder: Recorder) -> None:
    """Five trials in all states."""
    states = {"a": "TERMINATED", "b": "TERMINATED", "c": "ERROR", "d": "PAUSED", "e": "RUNNING"}
    for number, (trial, status) in enumerate(states.items()):
        accuracy = (0.5, 0.9, 0.95, 0.7, 0.3)[number]
        row(recorder, trial, status, 0.1 * (number + 1), "xy"[number % 2], accuracy, extra=number)
        report(recorder, trial, *(accuracy * part / 4 for part in (1, 2, 3, 4)))


def patch(recorder: Recorder, **fields: Any) -> None:
    assert recorder.handle("PATCH", "jobs/1", body=json.dumps(fields).encode()).status == 200
