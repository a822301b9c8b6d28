"""The reply to one call to the recorder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun.events import null_nonfinite

__all__ = ["CallRefused", "Reply", "json_reply", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Status, headers and content. A `file` is sent instead of `content`, so that no large model is held in memory."""

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
    """A refused call with its reply; its writes are rolled back."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.content.decode())
        self.reply = reply


def json_reply(status: int, value: Any, **headers: str) -> Reply:
    """Return a JSON reply; a NaN or infinity that a lenient recorder stored is sent as null."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(null_nonfinite(value), allow_nan=False)
    named = {name.replace("_", "-"): content for name, content in headers.items()}
    return Reply(status=status, content=text.encode(), headers={"Content-Type": "application/json", **named})


def refuse(status: int, detail: str, /, **more: Any) -> CallRefused:
    """Return the refusal to raise, with `detail` as in the platform's own refusals."""
    return CallRefused(json_reply(status, {"detail": detail, **more}))
