"""The events that wait to be sent, packed into batches."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import uuid4

from trialrun_hookspecs.event import Event

__all__ = ["Batch", "Channel", "Outbox", "RefusedEvent", "Throttle", "progress_record", "select_channels"]

RECORDER_ONLY_KINDS = frozenset({"trials_delta", "trial_result", "model", "resumed", "failure"})
PATCHED_KINDS = frozenset({"status", "result"})

Channel = Literal["entries", "patch"]
"""The two ways to send an event: as a log entry, or in a PATCH of its job; some are sent both ways."""


def select_channels(event: Event, *, recorder: bool) -> tuple[Channel, ...]:
    """Return the channels of an event, none for one that the backend does not know."""
    patched = event.kind == "progress" or event.kind in PATCHED_KINDS
    entered = recorder or not (patched or event.kind in RECORDER_ONLY_KINDS)
    return (*(("entries",) if entered else ()), *(("patch",) if patched else ()))


class Throttle(Protocol):
    """Limits how often a whole trial table is sent; `trialrun.trials.Coalescer` is one."""

    def try_acquire(self, now: float, rows: int) -> bool:
        """Return whether a table of `rows` rows may be sent at `now`; True counts as sent."""

    def seconds_until_due(self, now: float, rows: int) -> float:
        """Return the seconds until `try_acquire` would return True."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The content of one call: log entries, or the `fields` of a PATCH of job `job_id`.

    It keeps its key when it is sent again. `covers` has the keys of all events that need not be sent once it has
    arrived: its own, and those that it replaces.
    """

    events: tuple[Event, ...]
    key: str
    entries: tuple[dict[str, Any], ...] = ()
    job_id: int = 0
    fields: Mapping[str, Any] | None = None
    covers: tuple[str, ...] = ()

    @property
    def channel(self) -> Channel:
        return "entries" if self.fields is None else "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """An event that the backend, or the JSON encoder, refused, with the reason; `covers` as in `Batch`."""

    event: Event
    reason: str
    channel: Channel = "entries"
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Patch:
    event: Event


class Outbox:
    """Packs events into batches, in order; pure, and for one thread at a time.

    `recorder`: the backend is trialrun's own recorder, which takes every event as an entry with its key. The platform
    gets entries of the kinds that it knows, without keys, and of the whole tables that wait only the newest. Of the
    progress that waits, the newest per category is sent. Both precede the job's next `status` or `result`.
    `entry` builds an event's log entry. A batch has at most `max_batch` entries and about `max_bytes` of files.
    `arrived(channel, key)` tells that an event need not be sent.
    """

    def __init__(
        self,
        entry: Callable[[Event], dict[str, Any]],
        *,
        recorder: bool,
        throttle: Throttle,
        max_batch: int = 1000,
        max_bytes: int = 8_000_000,
        arrived: Callable[[Channel, str], bool] = lambda channel, key: False,
    ) -> None:
        self._entry = entry
        self.recorder = recorder
        self._throttle = throttle
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._arrived = arrived
        self._first_keys: set[tuple[Channel, str]] = set()
        self._replaced: dict[tuple[Channel, str], list[str]] = {}  # keys of the events that a waiting event replaces
        self._queue: deque[Event | _Patch] = deque()
        self._halves: list[Sequence[Event]] = []  # halves of a refused batch; the next one is last
        self._tables: dict[int, Event] = {}
        self._progress: dict[int, dict[str, Event]] = {}
        self._changed: dict[int, Event] = {}  # the newest progress event of each job that was not sent yet
        self._batch: Batch | None = None
        self.delivered = 0
        self.refused: list[RefusedEvent] = []

    @property
    def pending_count(self) -> int:
        """The number of events that wait."""
        in_halves = sum(map(len, self._halves))
        batch = self._batch  # read once: another thread may ask while the sink's thread works
        in_flight = len(batch.events) if batch else 0
        return len(self._queue) + in_halves + in_flight + len(self._tables) + len(self._changed)

    def put(self, event: Event, only: Channel | None = None) -> None:
        """Queue an event; one that the backend does not know, or that has `arrived`, is dropped.

        `only` sends it on this channel, whether it has arrived or not.
        """
        if event.kind == "progress":  # also one that has arrived: a record has all categories
            self._progress.setdefault(event.job_id, {})[str(event.data.get("category", ""))] = event
        for channel in select_channels(event, recorder=self.recorder) if only is None else (only,):
            if only is None and ((channel, event.key) in self._first_keys or self._arrived(channel, event.key)):
                continue
            self._queue_event(channel, event)

    def put_first(self, channel: Channel, events: Sequence[Event]) -> None:
        """Queue the events of a call that may have been sent before: first, and in one call with the same key."""
        self._first_keys |= {(channel, event.key) for event in events}
        if channel == "entries":
            self._halves.append(events)
        else:
            for event in events:
                if event.kind == "progress":
                    self._progress.setdefault(event.job_id, {})[str(event.data.get("category", ""))] = event
                self._queue.appendleft(_Patch(event))

    def _queue_event(self, channel: Channel, event: Event) -> None:
        if channel == "patch" and event.kind == "progress":
            self._replace_older(channel, self._changed, event)
        elif channel == "patch":
            self._queue.append(_Patch(event))
        elif event.kind == "trials" and not self.recorder:
            self._replace_older(channel, self._tables, event)
        else:
            self._queue.append(event)

    def _replace_older(self, channel: Channel, newest: dict[int, Event], event: Event) -> None:
        """Replace the job's older table or progress, which need not be sent."""
        older = newest.get(event.job_id)
        if older is not None:
            keys = self._replaced.pop((channel, older.key), [])
            keys.append(older.key)
            self._replaced[channel, event.key] = keys
        newest[event.job_id] = event

    def next_batch(self, now: float, *, force: bool = False) -> Batch | None:
        """Return the batch to send now, the same one until it is answered; None when nothing is due.

        `force` also returns what the throttle would hold back. `now` is a time of the throttle's clock, in seconds.
        """
        while self._batch is None:
            events = self._take_due(now, force=force)
            if events is None:
                return None
            self._batch = self._pack_batch(events)
        return self._batch

    def seconds_until_due(self, now: float) -> float | None:
        """Return the seconds until something is due; None when nothing waits."""
        if self._batch or self._halves or self._queue or self._changed:
            return 0.0
        return min(
            (self._throttle.seconds_until_due(now, _count_rows(table)) for table in self._tables.values()), default=None
        )

    def ack(self) -> None:
        """Drop the current batch, which arrived."""
        if self._batch is not None:
            self.delivered += len(self._batch.events)
            self._batch = None

    def refuse_batch(self, reason: str) -> None:
        """Split the current batch, whose content was refused, into halves; a single event goes to `refused`."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        if len(batch.events) > 1:
            half = len(batch.events) // 2
            self._halves += [batch.events[half:], batch.events[:half]]
        else:
            (event,) = batch.events
            self.refused.append(RefusedEvent(event=event, reason=reason, channel=batch.channel, covers=batch.covers))

    def _take_due(self, now: float, *, force: bool) -> Sequence[Event] | _Patch | None:
        if self._halves:
            return self._halves.pop()
        if self._queue:
            head = self._queue[0]
            if not isinstance(head, _Patch):
                return self._take_entries()
            job_id = head.event.job_id
            return self._take_table(job_id) or self._take_progress(job_id) or self._take_patch()
        for job_id, table in self._tables.items():
            if force or self._throttle.try_acquire(now, _count_rows(table)):
                return self._take_table(job_id)
        for job_id in self._changed:
            return self._take_progress(job_id)
        return None

    def _take_entries(self) -> list[Event]:
        """Take as many entries from the front of the queue as fit one call."""
        batch: list[Event] = []
        size = 0
        while self._queue and len(batch) < self._max_batch:
            head = self._queue[0]
            if isinstance(head, _Patch):
                break
            size += len(head.file or "")
            if batch and size > self._max_bytes:
                break
            batch.append(head)
            self._queue.popleft()
        return batch

    def _take_table(self, job_id: int) -> list[Event] | None:
        return [self._tables.pop(job_id)] if job_id in self._tables else None

    def _take_progress(self, job_id: int) -> _Patch | None:
        return _Patch(self._changed.pop(job_id)) if job_id in self._changed else None

    def _take_patch(self) -> _Patch | None:
        head = self._queue.popleft()
        return head if isinstance(head, _Patch) else None

    def _pack_batch(self, due: Sequence[Event] | _Patch) -> Batch | None:
        """Pack due events into a batch; return None when none of them can be encoded."""
        if isinstance(due, _Patch):
            event = due.event
            fields = self._try_encode(self._encode_fields, event, "patch")
            if fields is None:
                return None
            covers = self._take_covered_keys("patch", [event])
            key = _make_key([event], "patch")
            return Batch(events=(event,), key=key, job_id=event.job_id, fields=fields, covers=covers)
        encoded = [(event, self._try_encode(self._encode_entry, event, "entries")) for event in due]
        valid = [(event, entry) for event, entry in encoded if entry is not None]
        if not valid:
            return None
        events = tuple(event for event, _ in valid)
        covers = self._take_covered_keys("entries", events)
        return Batch(events=events, key=_make_key(events, "logs"), entries=tuple(e for _, e in valid), covers=covers)

    def _take_covered_keys(self, channel: Channel, events: Sequence[Event]) -> tuple[str, ...]:
        older = (key for event in events for key in self._replaced.pop((channel, event.key), ()))
        return (*older, *(event.key for event in events))

    def _try_encode(
        self, encode: Callable[[Event], dict[str, Any]], event: Event, channel: Channel
    ) -> dict[str, Any] | None:
        """Return the event encoded by `encode`; None, with the event added to `refused`, when that fails."""
        try:
            return encode(event)
        except Exception as error:  # noqa: BLE001 - one bad event must not stop the others
            self.refused.append(RefusedEvent(event=event, reason=str(error) or type(error).__name__, channel=channel))
            return None

    def _encode_entry(self, event: Event) -> dict[str, Any]:
        entry = {name: value for name, value in self._entry(event).items() if name != "key"}
        return {**entry, "key": event.key} if self.recorder and event.key else entry

    def _encode_fields(self, event: Event) -> dict[str, Any]:
        if event.kind == "status":
            return {"status": event.data.get("status")}
        if event.kind == "result":
            return {"result": dict(event.data)}
        latest = self._progress[event.job_id]
        return {"progress_record": progress_record({name: each.data for name, each in latest.items()}, event.data)}


def progress_record(categories: Mapping[str, Mapping[str, Any]], newest: Mapping[str, Any]) -> dict[str, Any]:
    """Return progress in the platform's form: percentages, and `time_remaining` in seconds when it is known."""
    record: dict[str, Any] = {"overall": _to_percent(newest.get("overall", 0), 1)}
    if newest.get("eta_s") is not None:
        record["time_remaining"] = newest["eta_s"]
    record["categories"] = {
        name: {
            "current": data.get("current"),
            "total": data.get("total"),
            "progress": _to_percent(data.get("current", 0), data.get("total", 0)),
        }
        for name, data in categories.items()
    }
    return record


def _to_percent(current: float, total: float) -> float:
    return round(100.0 * min(1.0, current / total), 2) if total else 100.0


def _count_rows(table: Event) -> int:
    trials = table.data.get("trials")
    return len(trials) if isinstance(trials, Mapping) else 0


def _make_key(events: Sequence[Event], call: str) -> str:
    """Return a key that is equal for equal events, also in another process; random when an event has no key."""
    if not all(event.key for event in events):
        return uuid4().hex
    digest = hashlib.sha256(call.encode())
    for event in events:
        digest.update(b"\0" + event.key.encode())
    return digest.hexdigest()
