"""A small study, as the tests of the page send it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

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
