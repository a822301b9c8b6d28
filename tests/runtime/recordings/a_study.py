"""A small study, as the tests of the page send it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Recorder

Asked = Callable[..., Any]

PARAMS = {"name": "study", "is_tune": True, "tune_config": {"metric": "loss", "mode": "min"}}
COLUMNS = {"base": ["trial_id", "status"], "hyperparameters": ["rate", "kind"], "metrics": ["loss"]}


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (1).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def table(**rows: tuple[str, list[Any], list[Any]]) -> dict[str, Any]:
    made = {
        trial: {"base": [trial, status], "hyperparameters": hyperparameters, "metrics": metrics}
        for trial, (status, hyperparameters, metrics) in rows.items()
    }
    return {**COLUMNS, "trials": made}


def send(recorder: Recorder, event: str, data: Any, **more: Any) -> None:
    body = json.dumps({"event": event, "job": 1, "data": data, **more}).encode()
    reply = recorder.handle("POST", "logs", body=body)
    assert reply.status == 201, reply.content


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Recorder]:
    """Four trials: one ended well, one failed, one paused, one running; each but the last reported thrice."""
    with Recorder(tmp_path / "study" / "recorder.sqlite") as recorder:
        recorder.create_job("study", {"action": "train", "params": PARAMS}, plugin="demo", version="1")
        rows: dict[str, Any] = {
            "a": ("TERMINATED", [0.1, "x"], [0.5]),
            "b": ("ERROR", [0.2, "y"], [None]),
            "c": ("PAUSED", [0.3, "x"], [0.25]),
            "d": ("RUNNING", [0.4, "y"], [None]),
        }
        send(recorder, "trials_delta", table(**rows))
        for trial in "abc":
            for step in (1, 2, 3):
                data = {"trial_id": trial, "iteration": step, "metrics": {"loss": 1 / step}}
                send(recorder, "trial_result", data, datetime=f"2026-01-01T00:00:0{step}+00:00")
        yield recorder
