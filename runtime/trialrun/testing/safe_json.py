"""JSON files, written with functions that were looked up before a plugin could replace them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["write_json"]

_encode = json.JSONEncoder(default=str).encode
_open, _write, _close, _replace, _fspath = os.open, os.write, os.close, os.replace, os.fspath
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def write_json(path: Path, data: Any) -> None:
    """Write the file atomically: a reader sees all of it or nothing."""
    name = _fspath(path)
    left = memoryview(_encode(data).encode("utf-8", "backslashreplace"))
    file = _open(f"{name}.tmp", _NEW, 0o644)
    try:
        while left:
            left = left[_write(file, left) :]
    finally:
        _close(file)
    _replace(f"{name}.tmp", name)
