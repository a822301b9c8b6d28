"""What a trial did and does again: its earlier attempts' entries after the checkpoint that it goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trialrun.recorder.normalise import Entry, parse_id
from trialrun.recorder.store import Row, Store

__all__ = ["SUPERSEDED", "supersede_entries"]

SUPERSEDED = "superseded:"
"""Before the event's name of an entry that a later attempt has made again: kept, and in no query for that event."""


def supersede_entries(store: Store, entries: Iterable[Entry]) -> None:
    """Act on the `resumed` entries among those that have just been stored, and on earlier ones for what comes late.

    Safe to repeat.
    """
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
    """Whether the entry is older than this one, and of the same trial."""
    mine = entry.trial_id == resumed["trial_id"] or (entry.key or "").startswith(_key_prefix(resumed["data"]) or "\0")
    return entry.job == job and entry.event != "resumed" and entry.time < resumed["time"] and mine


def _key_prefix(data: str) -> str:
    told = json.loads(data)
    prefix = told.get("prefix") if isinstance(told, dict) else None
    return prefix if isinstance(prefix, str) else ""


def _rename_superseded(store: Store, job: int, trial_id: str | None, time: str, data: str) -> None:
    if _key_prefix(data):
        store.rename_entries(_find_superseded(store, job, trial_id, time, json.loads(data)), SUPERSEDED)


def _find_superseded(store: Store, job: int, trial_id: str | None, time: str, data: dict[str, Any]) -> list[int]:
    """Ids of the entries that are done again."""
    attempt, after = parse_id(data.get("attempt")) or 0, data.get("after")
    last = tuple(after) if isinstance(after, list) and len(after) == 2 else (-1, -1)
    prefix = data["prefix"]
    keyed = store.fetch_all(
        "SELECT id, event, key FROM entries WHERE job = ? AND key >= ? AND key < ?",
        (job, prefix, prefix + "\U0010ffff"),
    )
    found = [row["id"] for row in keyed if _is_later(row["key"].removeprefix(prefix), last, attempt)]
    reported = store.fetch_all(
        "SELECT id, data FROM entries WHERE event = 'trial_result' AND job = ? AND trial_id = ? AND time < ?",
        (job, trial_id, time),
    )
    iteration = parse_id(data.get("iteration")) or 0
    return found + [
        row["id"] for row in reported if (parse_id(json.loads(row["data"]).get("iteration")) or 0) > iteration
    ]


def _is_later(name: str, last: tuple[Any, ...], attempt: int) -> bool:
    """Whether `<attempt>-<number>` comes after `last`, and before this attempt."""
    number, _, index = name.partition("-")
    place = parse_id(number), parse_id(index)
    if place[0] is None or place[1] is None or not all(isinstance(part, int) for part in last):
        return False
    return place[0] < attempt and place > last
