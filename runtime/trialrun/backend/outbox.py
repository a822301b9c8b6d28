"""What waits to be sent, and in which pieces it goes."""

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
"""The two ways in which an event may go out; some go both."""


def select_channels(event: Event, *, recorder: bool) -> tuple[Channel, ...]:
    """How the event goes out; not at all when the other side does not know it."""
    patched = event.kind == "progress" or event.kind in PATCHED_KINDS
    entered = recorder or not (patched or event.kind in RECORDER_ONLY_KINDS)
    return (*(("entries",) if entered else ()), *(("patch",) if patched else ()))


class Throttle(Protocol):
    """Says when a whole trial table may go out; `trialrun.trials.Coalescer` is one."""

    def try_acquire(self, now: float, rows: int) -> bool:
        """Whether a table of `rows` rows may go out at `now`; True counts as sent."""

    def seconds_until_due(self, now: float, rows: int) -> float:
        """Seconds until `offer` would say yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One call to be: log entries, or the fields of a PATCH of job `job_id`; its key stays when it is sent again.

    `covers` are the keys of all events that need not be sent once it arrived: its own, and those that it replaces.
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
    """An event that was set aside, and what the backend (or JSON) had against it; `covers` as a parcel's."""

    event: Event
    reason: str
    channel: Channel = "entries"
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Patch:
    event: Event


class Outbox:
    """Orders events into parcels; pure, and for one thread at a time.

    `recorder` says whether the other side is trialrun's own recorder, which takes every event as an entry with its key.
    The platform gets entries of the kinds it knows, whole tables newest-wins, and no keys in entries. Progress goes out
    newest-wins per category, before the job's next `status` or `result`; so does a held table.
    """

    def __init__(
        self,
        entry: Callable[[Event], dict[str, Any]],
        *,
        recorder: bool,
        throttle: Throttle,
        max_batch: int = 1000,
        max_bytes: int = 8_000_000,
        arrived: Callable[[Channel, str], bool] = lambda track, key: False,
    ) -> None:
        self._entry = entry
        self.recorder = recorder
        self._throttle = throttle
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._arrived = arrived
        self._ahead: set[tuple[Channel, str]] = set()
        self._replaced: dict[tuple[Channel, str], list[str]] = {}  # keys of what an event that waits has replaced
        self._line: deque[Event | _Patch] = deque()
        self._parts: list[Sequence[Event]] = []  # halves of a refused batch, the next one last
        self._tables: dict[int, Event] = {}
        self._progress: dict[int, dict[str, Event]] = {}
        self._changed: dict[int, Event] = {}  # jobs whose progress was not sent yet, with the newest event
        self._parcel: Batch | None = None
        self.delivered = 0
        self.refused: list[RefusedEvent] = []

    @property
    def pending_count(self) -> int:
        """How many things still wait."""
        halves = sum(map(len, self._parts))
        parcel = self._parcel  # read once: the sink's owner may ask while its thread works
        on_the_way = len(parcel.events) if parcel else 0
        return len(self._line) + halves + on_the_way + len(self._tables) + len(self._changed)

    def put(self, event: Event, only: Channel | None = None) -> None:
        """Take an event; one that the other side does not know, or that has `arrived`, is dropped here.

        With `only` it is sent on this track, whether it has arrived or not.
        """
        if event.kind == "progress":  # also one that has arrived: a record tells all categories
            self._progress.setdefault(event.job_id, {})[str(event.data.get("category", ""))] = event
        for track in select_channels(event, recorder=self.recorder) if only is None else (only,):
            if only is None and ((track, event.key) in self._ahead or self._arrived(track, event.key)):
                continue
            self._queue_event(track, event)

    def put_first(self, track: Channel, events: Sequence[Event]) -> None:
        """Before all others, send in one call what may have been sent already: it gets the key that it had."""
        self._ahead |= {(track, event.key) for event in events}
        if track == "entries":
            self._parts.append(events)
        else:
            for event in events:
                if event.kind == "progress":
                    self._progress.setdefault(event.job_id, {})[str(event.data.get("category", ""))] = event
                self._line.appendleft(_Patch(event))

    def _queue_event(self, track: Channel, event: Event) -> None:
        if track == "patch" and event.kind == "progress":
            self._replace_older(track, self._changed, event)
        elif track == "patch":
            self._line.append(_Patch(event))
        elif event.kind == "trials" and not self.recorder:
            self._replace_older(track, self._tables, event)
        else:
            self._line.append(event)

    def _replace_older(self, track: Channel, newest: dict[int, Event], event: Event) -> None:
        """Of a job's tables, and of its progress, only the newest goes out."""
        older = newest.get(event.job_id)
        if older is not None:
            keys = self._replaced.pop((track, older.key), [])
            keys.append(older.key)
            self._replaced[track, event.key] = keys
        newest[event.job_id] = event

    def next_batch(self, now: float, *, force: bool = False) -> Batch | None:
        """What to send now: the same parcel until it is settled; None when nothing is due.

        `force` takes out what the throttle would still hold.
        """
        while self._parcel is None:
            events = self._take_due(now, force=force)
            if events is None:
                return None
            self._parcel = self._pack_batch(events)
        return self._parcel

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until something is due; None when nothing waits."""
        if self._parcel or self._parts or self._line or self._changed:
            return 0.0
        return min(
            (self._throttle.seconds_until_due(now, _count_rows(table)) for table in self._tables.values()), default=None
        )

    def ack(self) -> None:
        """The parcel arrived."""
        if self._parcel is not None:
            self.delivered += len(self._parcel.events)
            self._parcel = None

    def refuse_batch(self, reason: str) -> None:
        """The parcel was refused for what is in it: several entries are tried again in halves, one is set aside."""
        parcel, self._parcel = self._parcel, None
        if parcel is None:
            return
        if len(parcel.events) > 1:
            half = len(parcel.events) // 2
            self._parts += [parcel.events[half:], parcel.events[:half]]
        else:
            (event,) = parcel.events
            self.refused.append(RefusedEvent(event=event, reason=reason, channel=parcel.channel, covers=parcel.covers))

    def _take_due(self, now: float, *, force: bool) -> Sequence[Event] | _Patch | None:
        if self._parts:
            return self._parts.pop()
        if self._line:
            head = self._line[0]
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
        """Entries from the front of the line, as many as fit one call."""
        batch: list[Event] = []
        size = 0
        while self._line and len(batch) < self._max_batch:
            head = self._line[0]
            if isinstance(head, _Patch):
                break
            size += len(head.file or "")
            if batch and size > self._max_bytes:
                break
            batch.append(head)
            self._line.popleft()
        return batch

    def _take_table(self, job_id: int) -> list[Event] | None:
        return [self._tables.pop(job_id)] if job_id in self._tables else None

    def _take_progress(self, job_id: int) -> _Patch | None:
        return _Patch(self._changed.pop(job_id)) if job_id in self._changed else None

    def _take_patch(self) -> _Patch | None:
        head = self._line.popleft()
        return head if isinstance(head, _Patch) else None

    def _pack_batch(self, due: Sequence[Event] | _Patch) -> Batch | None:
        """The parcel of what is due, or None when nothing of it can be written as an entry."""
        if isinstance(due, _Patch):
            event = due.event
            fields = self._try_encode(self._encode_fields, event, "patch")
            if fields is None:
                return None
            covers = self._take_covered_keys("patch", [event])
            key = _make_key([event], "patch")
            return Batch(events=(event,), key=key, job_id=event.job_id, fields=fields, covers=covers)
        written = [(event, self._try_encode(self._encode_entry, event, "entries")) for event in due]
        fitting = [(event, entry) for event, entry in written if entry is not None]
        if not fitting:
            return None
        events = tuple(event for event, _ in fitting)
        covers = self._take_covered_keys("entries", events)
        return Batch(events=events, key=_make_key(events, "logs"), entries=tuple(e for _, e in fitting), covers=covers)

    def _take_covered_keys(self, track: Channel, events: Sequence[Event]) -> tuple[str, ...]:
        older = (key for event in events for key in self._replaced.pop((track, event.key), ()))
        return (*older, *(event.key for event in events))

    def _try_encode(
        self, make: Callable[[Event], dict[str, Any]], event: Event, track: Channel
    ) -> dict[str, Any] | None:
        """What `make` makes of the event; None, and the event set aside, when it cannot."""
        try:
            return make(event)
        except Exception as error:  # noqa: BLE001 - one event must not take its neighbours along
            self.refused.append(RefusedEvent(event=event, reason=str(error) or type(error).__name__, channel=track))
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
    """The platform's form: percentages, and `time_remaining` in seconds when it is known."""
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
    """The same events make the same key, also in another process, as long as each has one of its own."""
    if not all(event.key for event in events):
        return uuid4().hex
    digest = hashlib.sha256(call.encode())
    for event in events:
        digest.update(b"\0" + event.key.encode())
    return digest.hexdigest()
