"""Studies as clients record them, for the tests of what is done with recordings afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trialrun.events import flatten_mapping, nonfinite_name, trial_result_event
from trialrun.recorder import Recorder

PARAMS = {"name": "a study", "is_tune": True, "tune_config": {"metric": "loss", "mode": "min"}}
HOSTILE = "</script><script>alert(1)</script>&\"'../..\\\u202e\n=1+1"


def send(recorder: Recorder, *entries: Mapping[str, Any]) -> None:
    body = json.dumps([{"job": 1, **entry} for entry in entries]).encode()
    reply = recorder.handle("POST", "logs", body=body, headers={"Idempotency-Key": f"k-{hash(body)}"})
    assert reply.status == 201, reply.content


def row(trial: str, status: str, config: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with one row of the trial table."""
    words = {name: word for name, cell in {**config, **metrics}.items() if (word := nonfinite_name(cell))}
    cells = {name: None if name in words else cell for name, cell in {**config, **metrics}.items()}
    made = {
        "base": [trial, status],
        "hyperparameters": [cells[name] for name in config],
        "metrics": [cells[name] for name in metrics],
        **({"nonfinite": words} if words else {}),
    }
    table = {"base": ["trial_id", "status"], "hyperparameters": list(config), "metrics": list(metrics)}
    return {"event": "trials_delta", "data": {**table, "trials": {trial: made}}}


def report(trial: str, step: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
    event = trial_result_event(trial, step, metrics)
    return {
        "event": "trial_result",
        "data": dict(event.data),
        "datetime": f"2026-01-01T00:{step // 60:02}:{step % 60:02}+00:00",
    }


def failure(trial: str, error: str, cause: str = "raised") -> dict[str, Any]:
    told = {"trial_id": trial, "error": error, "cause": cause, "traceback": f"Traceback\n  here\n{error}"}
    return {"event": "failure", "data": {**told, "node": "", "stderr": ""}}


def small(folder: Path, *, status: str = "SUCCEEDED", names: Sequence[str] = ("a", "b", "c")) -> Path:
    """Three trials of three reports each, the last of which fails; gives the folder."""
    with Recorder(folder / "recorder.sqlite") as recorder:
        recorder.create_job("a study", {"action": "train", "params": PARAMS}, plugin="demo", version="1")
        for place, name in enumerate(names):
            config = {"rate": 0.1 * (place + 1), "kind": "xyz"[place % 3]}
            send(recorder, row(name, "RUNNING", config, {"loss": None}))
            send(recorder, *(report(name, step, {"loss": (place + 1) / step}) for step in (1, 2, 3)))
            over = "ERROR" if place == 2 else "TERMINATED"
            send(recorder, row(name, over, config, {"loss": (place + 1) / 3}))
            if over == "ERROR":
                send(recorder, failure(name, "ValueError: it diverged"))
        send(recorder, {"event": "message", "data": {"context": "info", "content": f"trial {names[0]} is good"}})
        send(
            recorder,
            {"event": "metric", "data": {"category": "train", "key": "lr", "value": 1, "metrics": {"epoch": 4}}},
        )
        record = {"overall": 50.0, "time_remaining": 60, "categories": {"trials": {"current": 2, "total": 3}}}
        body = json.dumps({"status": status, "progress_record": record}).encode()
        assert recorder.handle("PATCH", "jobs/1", body=body).status == 200
    return folder


def flat(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a report."""
    return {
        name: cell
        for name, cell in flatten_mapping(metrics).items()
        if isinstance(cell, int | float) and not isinstance(cell, bool)
    }
