"""The reply: what one call to the recorder is answered with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CallRefused", "Reply", "json_reply", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`file`, when set, is sent instead of `content`, so that a large model is never held in memory by the server."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    @property
    def body(self) -> bytes:
        return self.content if self.file is None else self.file.read_bytes()

    def json(self) -> Any:
        return json.loads(self.body)


class CallRefused(Exception):
    """A call that gets a refusal as its reply; what it had begun to write is undone."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.content.decode())
        self.reply = reply


def json_reply(status: int, value: Any, **headers: str) -> Reply:
    """JSON that every reader takes: a NaN or infinity that a lenient recorder stored goes out as null."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(_replace_nonfinite(value), allow_nan=False)
    named = {name.replace("_", "-"): content for name, content in headers.items()}
    return Reply(status=status, content=text.encode(), headers={"Content-Type": "application/json", **named})


def refuse(status: int, detail: str, /, **more: Any) -> CallRefused:
    """The refusal to raise, with `detail` as the platform's own refusals have it."""
    return CallRefused(json_reply(status, {"detail": detail, **more}))


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_nonfinite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
