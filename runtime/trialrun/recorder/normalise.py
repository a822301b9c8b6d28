"""Normalisation: the many shapes that clients send become the one that is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from trialrun.numbers import is_number

__all__ = [
    "Entry",
    "decode_query_name",
    "normalize_progress",
    "parse_entry",
    "parse_id",
    "safe_file_name",
    "to_text",
    "to_utc",
]

BIGGEST_ID = 2**63 - 1  # the largest integer of SQLite

_KNOWN = frozenset({"event", "data", "datetime", "job", "file", "key"})
_ENCODED = re.compile(r"(?:[^%:,]|%25|%3A|%2C)*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One log entry as stored; `data` and `extra` are JSON text, `job` is 0 when the entry names none."""

    event: str
    job: int
    trial_id: str | None
    time: str
    key: str | None
    data: str
    file: str | None
    extra: str | None


def parse_entry(sent: Mapping[str, Any], received: datetime) -> Entry:
    """Return the entry of any mapping: parts without a column of their own are kept in `data` and `extra`."""
    data = sent.get("data", {})
    trial_id = data.get("trial_id") if isinstance(data, dict) else None
    extra = {name: value for name, value in sent.items() if name not in _KNOWN}
    return Entry(
        event=to_text(sent.get("event") or ""),
        job=parse_id(sent.get("job")) or 0,
        trial_id=None if trial_id is None else to_text(trial_id),
        time=to_utc(sent.get("datetime"), received),
        key=None if sent.get("key") is None else to_text(sent["key"]),
        data=json.dumps(data),
        file=None if sent.get("file") is None else to_text(sent["file"]),
        extra=json.dumps(extra) if extra else None,
    )


def to_utc(sent: Any, received: datetime) -> str:
    """Return `sent` as UTC in ISO 8601. A time without an offset is UTC or local, whichever is nearer to `received`.

    Seconds and milliseconds since 1970 are accepted; anything else becomes `received`.
    """
    try:
        moment = _parse_time(sent, received)
        return (moment or received).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return received.astimezone(UTC).isoformat()


def _parse_time(sent: Any, received: datetime) -> datetime | None:
    if is_number(sent):
        return datetime.fromtimestamp(sent / 1000 if abs(sent) > 1e11 else sent, UTC)
    if not isinstance(sent, str):
        return None
    moment = datetime.fromisoformat(sent.strip())
    if moment.tzinfo is not None:
        return moment
    readings = moment.replace(tzinfo=UTC), moment.astimezone()
    return min(readings, key=lambda reading: abs(reading - received))


def normalize_progress(record: Any) -> dict[str, Any]:
    """Return `{"overall": number or None, "categories": {name: …}}`, from `categories` or `steps`."""
    if not isinstance(record, dict):
        return {"overall": record if is_number(record) else None, "categories": {}}
    inner = record.get("current_progress")
    if isinstance(inner, dict) and not record.keys() & {"categories", "steps"}:
        record = inner
    parts = record.get("categories", record.get("steps"))
    if isinstance(parts, list):
        parts = {_part_name(part, index): part for index, part in enumerate(parts)}
    overall = record.get("overall")
    return {"overall": overall if is_number(overall) else None, "categories": parts if isinstance(parts, dict) else {}}


def _part_name(part: Any, index: int) -> str:
    names = (
        [part[key] for key in ("category", "step", "name", "code", "id") if part.get(key)]
        if isinstance(part, dict)
        else []
    )
    return to_text(names[0]) if names else str(index)


def parse_id(value: Any) -> int | None:
    """Return the id in `value`, an int or digits, or None."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= BIGGEST_ID:
        return value
    return None


def to_text(value: Any) -> str:
    """Return a string that SQLite can store: half surrogates, which JSON can carry, are replaced."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def decode_query_name(sent: str) -> str:
    """Return the name in a query: decoded if it is encoded, else as sent by a client that never encodes."""
    return unquote(sent) if _ENCODED.fullmatch(sent) else sent


def safe_file_name(sent: str, limit: int = 80) -> str:
    """Return a safe file name for any text; its extension is kept."""
    last = re.split(r"[/\\]", sent)[-1]
    plain = re.sub(r"[^\w.+-]", "_", last, flags=re.ASCII).lstrip(".")
    stem, dot, extension = plain.rpartition(".")
    tail = dot + extension if dot and len(extension) <= 10 else ""
    return ((stem if tail else plain)[: limit - len(tail)] or "file") + tail


Clock = Callable[[], datetime]
