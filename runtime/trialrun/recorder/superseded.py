"""What a trial did and does again: its earlier attempts' entries after the checkpoint that it goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trialrun.recorder.normalise import Entry, identifier
from trialrun.recorder.store import Store

__all__ = ["SUPERSEDED", "supersede"]

SUPERSEDED = "superseded:"
"""Before the event's name of an entry that a later attempt has made again: kept, and in no query for that event."""


def supersede(store: Store, entries: Iterable[Entry]) -> None:
    """Act on the `resumed` entries among those that have just been stored. Safe to repeat."""
    for entry in entries:
        if entry.event == "resumed":
            data = json.loads(entry.data)
            if isinstance(data, dict) and isinstance(data.get("prefix"), str) and data["prefix"]:
                store.rename_entries(_again(store, entry, data), SUPERSEDED)


def _again(store: Store, resumed: Entry, data: dict[str, Any]) -> list[int]:
    """Ids of the entries that are done again."""
    attempt, after = identifier(data.get("attempt")) or 0, data.get("after")
    last = tuple(after) if isinstance(after, list) and len(after) == 2 else (-1, -1)
    prefix = data["prefix"]
    keyed = store.rows(
        "SELECT id, event, key FROM entries WHERE job = ? AND key >= ? AND key < ?",
        (resumed.job, prefix, prefix + "\U0010ffff"),
    )
    found = [row["id"] for row in keyed if _is_later(row["key"].removeprefix(prefix), last, attempt)]
    reported = store.rows(
        "SELECT id, data FROM entries WHERE event = 'trial_result' AND job = ? AND trial_id = ? AND time < ?",
        (resumed.job, resumed.trial_id, resumed.time),
    )
    iteration = identifier(data.get("iteration")) or 0
    return found + [
        row["id"] for row in reported if (identifier(json.loads(row["data"]).get("iteration")) or 0) > iteration
    ]


def _is_later(name: str, last: tuple[Any, ...], attempt: int) -> bool:
    """Whether `<attempt>-<number>` comes after `last`, and before this attempt."""
    number, _, index = name.partition("-")
    place = identifier(number), identifier(index)
    if place[0] is None or place[1] is None or not all(isinstance(part, int) for part in last):
        return False
    return place[0] < attempt and place > last
