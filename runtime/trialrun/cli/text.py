"""Text for a terminal: nothing of a plugin's can control it, numbers are short."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

from trialrun.numbers import is_number

__all__ = ["clean", "format_duration", "format_number", "format_value", "truncate"]

_JOINER = "\u200d"  # holds some emoji together
_LINES = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
_CELL = 24
_MINUTE, _HOUR = 60, 3600
_WHOLE = 1e6


def clean(text: object) -> str:
    """`text` as one line without control characters: line ends become ` | `, others an escape."""
    lines = _LINES.sub(" | ", str(text).strip())
    return "".join(character if _is_printable(character) else _escape_character(character) for character in lines)


def _is_printable(character: str) -> bool:
    return character.isprintable() or character == _JOINER


def _escape_character(character: str) -> str:
    if character == "\t" or unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()


def truncate(text: str, limit: int) -> str:
    """`text`, shortened to `limit` characters where it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_number(value: float) -> str:
    """A number of at most about ten characters: whole ones as they are, others with four significant digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if abs(value) < _WHOLE and value == int(value):
        return str(int(value))
    return f"{value:.4g}"


def format_value(thing: Any, limit: int = _CELL) -> str:
    """A hyperparameter or a metric as a cell of a table."""
    if thing is None:
        return ""
    if is_number(thing):
        return format_number(thing)
    if isinstance(thing, str):
        return truncate(clean(thing), limit)
    return truncate(clean(json.dumps(thing, ensure_ascii=False, default=str)), limit)


def format_duration(seconds: float) -> str:
    """A time span as people say it: `8 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = max(round(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
