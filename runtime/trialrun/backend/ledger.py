"""The ledger: which of a run's events one backend has, kept beside them on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trialrun.backend.outbox import Batch, Channel, RefusedEvent
from trialrun.events import from_line, to_line
from trialrun.run_dir import layout
from trialrun.run_dir.atomic import replace_file
from trialrun.run_dir.lock import LockHeld, LocksUnsupported, acquire
from trialrun.run_dir.spool import SpoolWriter
from trialrun_hookspecs.errors import BadValue, SpoolFull, UsageError

__all__ = ["OWN_RECORDER", "Ledger", "ack_dead_letters", "read_dead_letters", "take_dead_letters"]

OWN_RECORDER = "recorder"
"""How a run's own recorder is called; every other backend goes by its URL."""
COMPACT_AT = 4000  # lines: two per call of the backend, for weeks

KeyRange = tuple[str, int, int]  # keys `<prefix>-<first>` to `<prefix>-<last>`


class Ledger:
    """What went out is written down before it is sent and once it was answered: in `folder/sent/`, per backend.

    A sender that dies in between finds the call in `unanswered`, and sends the same one again under the same key. What
    the backend refused is kept whole in `folder/refused.jsonl`. Nothing here raises for a full disk: what could not be
    written down is only sent once more. One process at a time holds a folder's ledger; another gets a UsageError.
    """

    def __init__(self, folder: Path, backend: str = OWN_RECORDER) -> None:
        self._home = folder / layout.LEDGER_DIR
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = _acquire_lock(folder)
        mark = OWN_RECORDER if backend == OWN_RECORDER else hashlib.sha256(backend.encode()).hexdigest()[:12]
        self._path = self._home / f"{mark}{layout.LEDGER_SUFFIX}"
        self._dead = folder / layout.DEAD_LETTERS
        self._arrived: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._begun: list[Any] = []
        self._lines = self._load_entries()
        self.unanswered = (self._begun[0], list(_ranges_to_keys(self._begun[1]))) if self._begun else None
        self._writer = SpoolWriter(self._path)
        if not self._lines:
            self._append_entry({"backend": backend})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def is_answered(self, track: Channel, key: str) -> bool:
        """Whether the backend has answered for this event, with a yes or a no."""
        prefix, number = _split_key(key)
        spans = self._arrived.get((track, prefix), [])
        at = bisect_left(spans, (number + 1,)) - 1
        return at >= 0 and spans[at][1] >= number

    def record_attempt(self, parcel: Batch) -> None:
        """It is about to be sent, perhaps not for the first time."""
        begun = [parcel.channel, _keys_to_ranges(event.key for event in parcel.events)]
        if begun != self._begun:
            self._begun = begun
            self._append_entry({"begin": begun})

    def record_delivery(self, parcel: Batch) -> None:
        """It arrived."""
        self._record_answer(parcel.channel, parcel.covers)

    def record_refusal(self, refused: RefusedEvent) -> None:
        """The event was set aside."""
        letter = {"reason": refused.reason, "track": refused.channel, "event": json.loads(to_line(refused.event))}
        with contextlib.suppress(OSError, SpoolFull), SpoolWriter(self._dead) as writer:
            writer.write(json.dumps(letter, ensure_ascii=False))
        self._record_answer(refused.channel, (*refused.covers, refused.event.key))

    def _record_answer(self, track: Channel, keys: Iterable[str]) -> None:
        runs = _keys_to_ranges(keys)
        self._begun = []
        self._add_ranges(track, runs)
        self._append_entry({"done": [track, runs]})

    def _add_ranges(self, track: str, runs: Iterable[Any]) -> None:
        for prefix, first, last in runs:
            _insert_span(self._arrived.setdefault((track, prefix), []), first, last)

    def _load_entries(self) -> int:
        """How many lines there were."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return 0
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):  # torn by a death
                entry = json.loads(line)
                if "begin" in entry:
                    self._begun = entry["begin"]
                elif "done" in entry:
                    self._begun = []
                    self._add_ranges(*entry["done"])
        return len(lines) - 1

    def _append_entry(self, entry: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, SpoolFull):
            if self._lines >= COMPACT_AT:
                self._compact_file()
            self._writer.write(json.dumps(entry))
            self._lines += 1

    def _compact_file(self) -> None:
        """The same in few lines, put in place at once."""
        with replace_file(self._path) as smaller, self._path.open("rb") as old, SpoolWriter(smaller) as writer:
            writer.write(old.readline().decode().rstrip("\n"))
            for (track, prefix), spans in self._arrived.items():
                writer.write(json.dumps({"done": [track, [(prefix, *span) for span in spans]]}))
        self._writer.close()
        self._writer = SpoolWriter(self._path)
        self._lines = len(self._arrived) + 1


def read_dead_letters(folder: Path) -> list[RefusedEvent]:
    """What backends refused of this run, each once; lines that a death cut short are left out."""
    found: dict[tuple[str, str], RefusedEvent] = {}
    for path in (_retry_path(folder), folder / layout.DEAD_LETTERS):
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    letter = json.loads(line)
                    event = from_line(json.dumps(letter["event"]))
                    track: Channel = letter["track"]
                    found[track, event.key] = RefusedEvent(event=event, reason=letter["reason"], channel=track)
    return list(found.values())


def take_dead_letters(folder: Path) -> list[RefusedEvent]:
    """The same, laid aside until `settle_dead_letters`: a retry that is cut short is found by the next."""
    letters, current = read_dead_letters(folder), folder / layout.DEAD_LETTERS
    if current.exists():
        with _retry_path(folder).open("ab") as target:
            target.write(current.read_bytes())
        current.unlink()
    return letters


def ack_dead_letters(folder: Path) -> None:
    """All that was taken has been answered."""
    _retry_path(folder).unlink(missing_ok=True)


def _retry_path(folder: Path) -> Path:
    return folder / layout.DEAD_LETTERS_RETRY


def _acquire_lock(folder: Path) -> int | None:
    try:
        return acquire(folder / layout.LEDGER_DIR / layout.LOCK)
    except LockHeld:
        fix = "Wait until it has ended."
        raise UsageError("is being sent from by another process", where=str(folder), fix=fix) from None
    except LocksUnsupported:  # better to send than to refuse
        return None


def _split_key(key: str) -> tuple[str, int]:
    """A key's prefix and number; -1, which no ledger holds, for a key of another form."""
    prefix, _, number = key.rpartition("-")
    return (prefix, int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else (key, -1)


def _keys_to_ranges(keys: Iterable[str]) -> list[Any]:
    """Keys in their order, neighbours as one run."""
    runs: list[list[Any]] = []
    for key in keys:
        prefix, number = _split_key(key)
        if number < 0:
            continue
        if runs and runs[-1][0] == prefix and runs[-1][2] == number - 1:
            runs[-1][2] = number
        else:
            runs.append([prefix, number, number])
    return runs


def _ranges_to_keys(runs: Iterable[KeyRange]) -> Iterator[str]:
    for prefix, first, last in runs:
        yield from (f"{prefix}-{number}" for number in range(first, last + 1))


def _insert_span(spans: list[tuple[int, int]], first: int, last: int) -> None:
    """Add `first` to `last` to sorted spans that neither touch nor overlap."""
    if not first <= last:
        raise BadValue("must not end before it begins", where="a run of the ledger", got=f"{first} to {last}")
    low = bisect_left(spans, (first,))
    if low and spans[low - 1][1] >= first - 1:
        low -= 1
    high = low
    while high < len(spans) and spans[high][0] <= last + 1:
        first, last = min(first, spans[high][0]), max(last, spans[high][1])
        high += 1
    spans[low:high] = [(first, last)]
