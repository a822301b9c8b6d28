"""Superseded entries: those of earlier attempts of a trial after the checkpoint from which it resumed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trialrun.recorder.normalise import Entry, parse_id
from trialrun.recorder.store import Row, Store

__all__ = ["SUPERSEDED", "supersede_entries"]

SUPERSEDED = "superseded:"
"""Prefix of the event of an entry that a later attempt repeats: kept, but returned by no query for the event."""


def supersede_entries(store: Store, entries: Iterable[Entry]) -> None:
    """Mark entries that the `resumed` entries among `entries`, or earlier ones, supersede. Safe to repeat."""
    stored = list(entries)
    for entry in stored:
        if entry.event == "resumed":
            _rename_superseded(store, entry.job, entry.trial_id, entry.time, entry.data)
    for job in {entry.job for entry in stored}:
        for row in store.fetch_all(
            "SELECT trial_id, time, data FROM entries WHERE event = 'resumed' AND job = ?", (job,)
        ):
            if any(_is_late(entry, row, job) for entry in stored):
                _rename_superseded(store, job, row["trial_id"], row["time"], row["data"])


def _is_late(entry: Entry, resumed: Row, job: int) -> bool:
    """Return whether the entry is older than `resumed` and of the same trial."""
    same = entry.trial_id == resumed["trial_id"] or (entry.key or "").startswith(_key_prefix(resumed["data"]) or "\0")
    return entry.job == job and entry.event != "resumed" and entry.time < resumed["time"] and same


def _key_prefix(data: str) -> str:
    parsed = json.loads(data)
    prefix = parsed.get("prefix") if isinstance(parsed, dict) else None
    return prefix if isinstance(prefix, str) else ""


def _rename_superseded(store: Store, job: int, trial_id: str | None, time: str, data: str) -> None:
    if _key_prefix(data):
        store.rename_entries(_find_superseded(store, job, trial_id, time, json.loads(data)), SUPERSEDED)


def _find_superseded(store: Store, job: int, trial_id: str | None, time: str, data: dict[str, Any]) -> list[int]:
    """Return the ids of the entries that are repeated."""
    attempt, after = parse_id(data.get("attempt")) or 0, data.get("after")
    last = tuple(after) if isinstance(after, list) and len(after) == 2 else (-1, -1)
    prefix = data["prefix"]
    keyed = store.fetch_all(
        "SELECT id, event, key FROM entries WHERE job = ? AND key >= ? AND key < ?",
        (job, prefix, prefix + "\U0010ffff"),
    )
    repeated = [row["id"] for row in keyed if _is_later(row["key"].removeprefix(prefix), last, attempt)]
    reported = store.fetch_all(
        "SELECT id, data FROM entries WHERE event = 'trial_result' AND job = ? AND trial_id = ? AND time < ?",
        (job, trial_id, time),
    )
    iteration = parse_id(data.get("iteration")) or 0
    return repeated + [
        row["id"] for row in reported if (parse_id(json.loads(row["data"]).get("iteration")) or 0) > iteration
    ]


def _is_later(name: str, last: tuple[Any, ...], attempt: int) -> bool:
    """Return whether `<attempt>-<number>` is after `last` and of an earlier attempt."""
    number, _, index = name.partition("-")
    place = parse_id(number), parse_id(index)
    if place[0] is None or place[1] is None or not all(isinstance(part, int) for part in last):
        return False
    return place[0] < attempt and place > last
