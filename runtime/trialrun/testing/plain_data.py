"""Values of a plugin as plain data: JSON for readers, digests, and exceptions."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import traceback
from typing import Any

__all__ = ["describe_error", "hash_dataset", "to_plain_data"]


_LONGEST = 2_000  # characters of a repr


def describe_error(error: BaseException, inside: str) -> dict[str, Any]:
    """Return an exception as plain data; `inside` is the plugin's file or folder."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if inside and (frame.filename == inside or frame.filename.startswith(inside + os.sep))
    ]
    return {
        "type": type(error).__name__,
        "message": _truncate_text(str(error)),
        "where": [own[-1].filename, own[-1].lineno or 1] if own else None,
        "traceback": "".join(traceback.format_exception(error))[-8_000:],
        "bases": [kind.__name__ for kind in type(error).__mro__],
    }


def to_plain_data(value: Any, depth: int = 0) -> Any:
    """Return `value` as readable JSON data; a value that JSON cannot hold becomes {"repr": …, "type": …}."""
    if value is None or (isinstance(value, bool | str) and type(value) in (bool, str)):
        return value if not isinstance(value, str) or len(value) <= _LONGEST else _truncate_text(value)
    if type(value) in (int, float):
        return value if value == value and abs(value) != float("inf") else {"repr": repr(value), "type": "float"}
    if type(value) is dict and depth < 6 and len(value) <= 1_000:
        return {str(key): to_plain_data(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple) and depth < 6 and len(value) <= 1_000:
        return [to_plain_data(item, depth + 1) for item in value]
    kind = type(value)
    return {"repr": _truncate_text(_safe_repr(value)), "type": f"{kind.__module__}.{kind.__qualname__}"}


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # a plugin's own __repr__
        return f"<repr raised {type(error).__name__}>"


def _truncate_text(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def hash_dataset(value: Any) -> str:
    """Return a digest of a dataset's rows, which changes when the rows change."""
    try:
        data = json.dumps(value, sort_keys=True, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        try:
            data = pickle.dumps(value)
        except Exception as error:  # noqa: BLE001  # a row can hold any object of the plugin
            return f"unreadable: {type(error).__name__}"
    return hashlib.sha256(data).hexdigest()[:16]
