"""The ledger: which of a run's events one backend has answered, kept on disk beside them."""

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
"""The name of a run's own recorder; other backends are named by their URL."""
COMPACT_AT = 4000  # lines: a call of the backend adds two, for weeks

KeyRange = tuple[str, int, int]  # keys `<prefix>-<first>` to `<prefix>-<last>`


class Ledger:
    """Records each call before it is sent and once it is answered, in a file per backend in `folder/sent/`.

    After a sender died in between, `unanswered` holds the call, which is sent again under the same key. Refused events
    are kept in `folder/refused.jsonl`. A full disk raises nothing: events whose answer could not be recorded are sent
    once more. Raises UsageError while another process holds the folder's ledger.
    """

    def __init__(self, folder: Path, backend: str = OWN_RECORDER) -> None:
        self._home = folder / layout.LEDGER_DIR
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = _acquire_lock(folder)
        name = OWN_RECORDER if backend == OWN_RECORDER else hashlib.sha256(backend.encode()).hexdigest()[:12]
        self._path = self._home / f"{name}{layout.LEDGER_SUFFIX}"
        self._dead_letters = folder / layout.DEAD_LETTERS
        self._answered: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._attempt: list[Any] = []
        self._lines = self._load_entries()
        self.unanswered = (self._attempt[0], list(_ranges_to_keys(self._attempt[1]))) if self._attempt else None
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

    def is_answered(self, channel: Channel, key: str) -> bool:
        """Return whether the backend has accepted or refused this event."""
        prefix, number = _split_key(key)
        spans = self._answered.get((channel, prefix), [])
        at = bisect_left(spans, (number + 1,)) - 1
        return at >= 0 and spans[at][1] >= number

    def record_attempt(self, batch: Batch) -> None:
        """Record that the batch is about to be sent, perhaps again."""
        attempt = [batch.channel, _keys_to_ranges(event.key for event in batch.events)]
        if attempt != self._attempt:
            self._attempt = attempt
            self._append_entry({"begin": attempt})

    def record_delivery(self, batch: Batch) -> None:
        """Record that the batch was accepted."""
        self._record_answer(batch.channel, batch.covers)

    def record_refusal(self, refused: RefusedEvent) -> None:
        """Keep the refused event, and record that it was answered."""
        letter = {"reason": refused.reason, "track": refused.channel, "event": json.loads(to_line(refused.event))}
        with contextlib.suppress(OSError, SpoolFull), SpoolWriter(self._dead_letters) as writer:
            writer.write(json.dumps(letter, ensure_ascii=False))
        self._record_answer(refused.channel, (*refused.covers, refused.event.key))

    def _record_answer(self, channel: Channel, keys: Iterable[str]) -> None:
        ranges = _keys_to_ranges(keys)
        self._attempt = []
        self._add_ranges(channel, ranges)
        self._append_entry({"done": [channel, ranges]})

    def _add_ranges(self, channel: str, ranges: Iterable[Any]) -> None:
        for prefix, first, last in ranges:
            _insert_span(self._answered.setdefault((channel, prefix), []), first, last)

    def _load_entries(self) -> int:
        """Read the ledger's file and return its number of lines."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return 0
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):  # torn: its writer was killed
                entry = json.loads(line)
                if "begin" in entry:
                    self._attempt = entry["begin"]
                elif "done" in entry:
                    self._attempt = []
                    self._add_ranges(*entry["done"])
        return len(lines) - 1

    def _append_entry(self, entry: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, SpoolFull):
            if self._lines >= COMPACT_AT:
                self._compact_file()
            self._writer.write(json.dumps(entry))
            self._lines += 1

    def _compact_file(self) -> None:
        """Replace the file by one that says the same in few lines."""
        with replace_file(self._path) as smaller, self._path.open("rb") as old, SpoolWriter(smaller) as writer:
            writer.write(old.readline().decode().rstrip("\n"))
            for (channel, prefix), spans in self._answered.items():
                writer.write(json.dumps({"done": [channel, [(prefix, *span) for span in spans]]}))
        self._writer.close()
        self._writer = SpoolWriter(self._path)
        self._lines = len(self._answered) + 1


def read_dead_letters(folder: Path) -> list[RefusedEvent]:
    """Return the events of this run that backends refused, each once; torn lines are skipped."""
    letters: dict[tuple[str, str], RefusedEvent] = {}
    for path in (_retry_path(folder), folder / layout.DEAD_LETTERS):
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    letter = json.loads(line)
                    event = from_line(json.dumps(letter["event"]))
                    channel: Channel = letter["track"]
                    letters[channel, event.key] = RefusedEvent(event=event, reason=letter["reason"], channel=channel)
    return list(letters.values())


def take_dead_letters(folder: Path) -> list[RefusedEvent]:
    """Return the dead letters and set them aside until `ack_dead_letters`: an interrupted retry is repeated."""
    letters, current = read_dead_letters(folder), folder / layout.DEAD_LETTERS
    if current.exists():
        with _retry_path(folder).open("ab") as target:
            target.write(current.read_bytes())
        current.unlink()
    return letters


def ack_dead_letters(folder: Path) -> None:
    """Drop the dead letters that were taken: all have been answered."""
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
    """Return a key's prefix and number; a key of another form has the number -1, which no ledger holds."""
    prefix, _, number = key.rpartition("-")
    return (prefix, int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else (key, -1)


def _keys_to_ranges(keys: Iterable[str]) -> list[Any]:
    """Return the keys as ranges, in their order: consecutive numbers form one."""
    ranges: list[list[Any]] = []
    for key in keys:
        prefix, number = _split_key(key)
        if number < 0:
            continue
        if ranges and ranges[-1][0] == prefix and ranges[-1][2] == number - 1:
            ranges[-1][2] = number
        else:
            ranges.append([prefix, number, number])
    return ranges


def _ranges_to_keys(ranges: Iterable[KeyRange]) -> Iterator[str]:
    for prefix, first, last in ranges:
        yield from (f"{prefix}-{number}" for number in range(first, last + 1))


def _insert_span(spans: list[tuple[int, int]], first: int, last: int) -> None:
    """Add `first` to `last` to sorted spans, which neither touch nor overlap before and after."""
    if not first <= last:
        raise BadValue("must not end before it begins", where="a range of the ledger", got=f"{first} to {last}")
    low = bisect_left(spans, (first,))
    if low and spans[low - 1][1] >= first - 1:
        low -= 1
    high = low
    while high < len(spans) and spans[high][0] <= last + 1:
        first, last = min(first, spans[high][0]), max(last, spans[high][1])
        high += 1
    spans[low:high] = [(first, last)]
