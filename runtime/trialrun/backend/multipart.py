"""The multipart form of an upload."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

__all__ = ["encode_multipart"]


def encode_multipart(fields: Mapping[str, str], filename: str, content: bytes) -> tuple[bytes, str]:
    """Return body and content type of a form with `fields` and one part `file`; equal input gives equal bytes."""
    parts = [RequestField(name, value.encode()) for name, value in fields.items()]
    for part in parts:
        part.make_multipart()
    file = RequestField("file", content, filename)
    file.make_multipart(content_type="application/octet-stream")
    return encode_multipart_formdata([*parts, file], "trialrun-" + hashlib.sha256(content).hexdigest())
