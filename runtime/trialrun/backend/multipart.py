"""The multipart form of one upload."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

__all__ = ["encode_multipart"]


def encode_multipart(fields: Mapping[str, str], filename: str, content: bytes) -> tuple[bytes, str]:
    """Body and content type of a form with `fields` and one part `file`; equal input gives equal bytes."""
    boundary = "trialrun-" + hashlib.sha256(content).hexdigest()
    parts: list[bytes] = []
    for name, value in fields.items():
        parts += [_encode_part_header(boundary, f'name="{_escape_name(name)}"'), value.encode(), b"\r\n"]
    parts += [
        _encode_part_header(boundary, f'name="file"; filename="{_escape_name(filename)}"', "application/octet-stream"),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _encode_part_header(boundary: str, disposition: str, content_type: str = "") -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()


def _escape_name(name: str) -> str:
    """As browsers do it: only what would end the header is escaped."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
