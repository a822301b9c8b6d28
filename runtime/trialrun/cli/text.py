"""Formatting for a terminal: plugin text cannot control it, numbers are short, labels are aligned."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trialrun.numbers import is_number

__all__ = [
    "align_columns",
    "clean",
    "format_duration",
    "format_field",
    "format_message",
    "format_metric",
    "format_name",
    "format_number",
    "format_omitted",
    "format_pair",
    "format_value",
    "truncate",
    "wrap_pairs",
]

_JOINER = "\u200d"  # holds some emoji together
_LINES = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
_CELL = 24
_NAME = 60
_MESSAGE = 300
_PAIR = 40
_LABEL = 11
_LINE = 90
_MINUTE, _HOUR = 60, 3600
_WHOLE = 1e6


def clean(text: object) -> str:
    """Return `text` as one line: line ends become ` | `, other control characters become escapes."""
    lines = _LINES.sub(" | ", str(text).strip())
    return "".join(character if _is_printable(character) else _escape_character(character) for character in lines)


def _is_printable(character: str) -> bool:
    return character.isprintable() or character == _JOINER


def _escape_character(character: str) -> str:
    if character == "\t" or unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()


def truncate(text: str, limit: int) -> str:
    """Return `text`, shortened to `limit` characters where it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_number(value: float) -> str:
    """Return a number in about ten characters: whole numbers in full, others with four significant digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if abs(value) < _WHOLE and value == int(value):
        return str(int(value))
    return f"{value:.4g}"


def format_value(value: Any, limit: int = _CELL) -> str:
    """Return a hyperparameter or a metric as a table cell; None is empty."""
    if value is None:
        return ""
    if is_number(value):
        return format_number(value)
    if isinstance(value, str):
        return truncate(clean(value), limit)
    return truncate(clean(json.dumps(value, ensure_ascii=False, default=str)), limit)


def format_duration(seconds: float) -> str:
    """Return a time span in words: `8 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = max(round(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def format_name(name: object) -> str:
    """Return the name of a job as the beginning of a line."""
    return truncate(clean(name), _NAME)


def format_message(message: object) -> str:
    """Return an error or a warning as one line of bounded length."""
    return truncate(clean(message), _MESSAGE)


def format_metric(name: object, value: Any) -> str:
    """Return `name value`."""
    return f"{clean(name)} {format_value(value)}"


def format_pair(name: object, value: Any, limit: int = _PAIR) -> str:
    """Return `name=value`."""
    return f"{clean(name)}={format_value(value, limit)}"


def wrap_pairs(values: Mapping[str, Any]) -> list[str]:
    """Return `a=1  b=2` on as many lines as it takes."""
    lines = [""]
    for name, value in values.items():
        pair = format_pair(truncate(clean(name), _PAIR), value)
        if lines[-1] and len(lines[-1]) + len(pair) > _LINE:
            lines.append("")
        lines[-1] += f"  {pair}" if lines[-1] else pair
    return [line for line in lines if line]


def format_field(label: str, values: Sequence[str]) -> list[str]:
    """Return one aligned line per value; `label` stands beside the first. No values: no lines."""
    return [f"{label if index == 0 else '':<{_LABEL}}{value}".rstrip() for index, value in enumerate(values)]


def format_omitted(count: int, hint: str) -> list[str]:
    """Return a line that says how many entries were left out and where they are; none for 0 or fewer."""
    return [f"… and {count} more{hint}"] if count > 0 else []


def align_columns(columns: Iterable[Sequence[str]]) -> list[str]:
    """Return the rows of a table, its columns padded to their widest cell and separated by two spaces."""
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
