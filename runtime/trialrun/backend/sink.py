"""The queue between what is reported and the backend."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from trialrun.backend.outbox import Batch, Channel, Outbox, RefusedEvent, Throttle, select_channels
from trialrun.backend.retry import RetryPolicy
from trialrun.trials import Coalescer
from trialrun_hookspecs.errors import BackendRefused, BackendUnavailable, BadValue
from trialrun_hookspecs.event import Event

__all__ = ["DeliveryClient", "DeliveryLog", "LogSink"]

MIN_PAUSE_S = 0.02
MAX_FLUSH_PAUSE_S = 1.0
# Statuses that refuse what is in a call. Others (a token, an address, a redirect) would refuse every call alike: no
# reason to set an event aside. A PATCH that finds no job concerns that job only.
CONTENT_STATUSES = frozenset({400, 409, 413, 422})
JOB_STATUSES = frozenset({404, 410})


class DeliveryClient(Protocol):
    """What a sink needs of a client."""

    def is_recorder(self) -> bool: ...
    def post_logs(self, entries: Sequence[Mapping[str, Any]], *, key: str | None = None) -> None: ...
    def patch_job(self, job_id: int, *, key: str | None = None, **fields: Any) -> None: ...


class DeliveryLog(Protocol):
    """Remembers across processes what was sent; `trialrun.backend.ledger.Ledger` is one."""

    def is_answered(self, track: Channel, key: str) -> bool: ...
    def record_attempt(self, parcel: Batch) -> None: ...
    def record_delivery(self, parcel: Batch) -> None: ...
    def record_refusal(self, refused: RefusedEvent) -> None: ...


class LogSink:
    """Delivers events from a thread of its own, in order and once; `put` never waits for the network.

    Entries go in batches of at most `max_batch`, at the latest `interval` seconds after they were put. A batch with an
    entry that is refused is halved until that entry is found; it is kept in `refused` and the rest goes on. While the
    backend gives no usable answer everything waits and is tried again, with growing pauses; `trouble` says what it is.
    What waits when `close` runs out of time is counted in `undelivered`. `entry` makes the wire form of an event. With
    a `journal`, what it knows to have arrived is not sent again.
    """

    def __init__(
        self,
        client: DeliveryClient,
        *,
        entry: Callable[[Event], dict[str, Any]],
        clock: Callable[[], float] = time.monotonic,
        max_batch: int = 1000,
        interval: float = 0.5,
        throttle: Throttle | None = None,
        patience: RetryPolicy | None = None,
        draw: Callable[[], float] = random.random,
        journal: DeliveryLog | None = None,
    ) -> None:
        self._client, self._entry, self._clock, self._draw = client, entry, clock, draw
        self._max_batch, self._interval = max_batch, interval
        self._throttle = throttle or Coalescer(clock)
        self._patience = patience or RetryPolicy(first=0.5, longest=30.0)
        self._journal = journal
        self._told = 0  # how many of the refused the journal knows
        self._first: tuple[Channel, Sequence[Event]] | None = None
        self._changed = threading.Condition()
        self._inbox: list[tuple[Event, Channel | None]] = []
        self._first_put = 0.0
        self._taken = 0  # events that have left the inbox
        self._settled = 0  # of these, how many had left when nothing waited any more
        self._flushing = 0
        self._stopped = False
        self._outbox: Outbox | None = None
        self._failures = 0
        self._retry_at: float | None = None
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run_loop, name="trialrun-sink", daemon=True)
        self._thread.start()

    def put_first(self, track: Channel, events: Sequence[Event]) -> None:
        """Before anything is put: what is to go before all else, in one call."""
        self._first = track, events

    def put(self, event: Event, only: Channel | None = None) -> None:
        """Queue an event. After `close` it only counts as undelivered. `only`: see `Outbox.put`."""
        with self._changed:
            self._inbox.append((event, only))
            waiting = len(self._inbox)
            if waiting == 1:
                self._first_put = self._clock()
            if waiting in (1, self._max_batch):  # in between, the thread's deadline stands
                self._changed.notify_all()

    def is_due(self, event: Event) -> bool:
        """Whether something of the event still has to be sent, as far as journal and backend have told."""
        outbox, journal = self._outbox, self._journal
        if journal is None:
            return True
        recorder = outbox is None or outbox.recorder  # a recorder wants all that a platform does, and more
        return not all(journal.is_answered(track, event.key) for track in select_channels(event, recorder=recorder))

    def flush(self, timeout: float | None = None) -> bool:
        """Send at once what was put so far, and wait until it arrived or was refused; False when time ran out first."""
        with self._changed:
            target = self._taken + len(self._inbox)
            self._flushing += 1
            self._retry_at = None
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._settled >= target or self._stopped, timeout)
                return self._settled >= target
            finally:
                self._flushing -= 1

    def close(self, timeout: float | None = 10.0) -> None:
        """Flush, then end the thread; what could not be delivered within `timeout` seconds is in `undelivered`.

        A call that is on its way when time runs out may still arrive; nothing is sent after it.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self.flush(timeout)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(None if end is None else max(0.1, end - time.monotonic()))

    @property
    def total_delivered(self) -> int:
        """How many things arrived."""
        return 0 if self._outbox is None else self._outbox.delivered

    @property
    def refused_events(self) -> tuple[RefusedEvent, ...]:
        """What was set aside, and why."""
        return () if self._outbox is None else tuple(self._outbox.refused)

    @property
    def pending_count(self) -> int:
        """How many things wait now; after `close`, how many were not delivered."""
        with self._changed:
            return len(self._inbox) + (0 if self._outbox is None else self._outbox.pending_count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run_loop(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and ((delay := self._next_delay()) is None or delay > 0):
                    self._changed.wait(delay)
                if self._stopped:
                    return
                force = self._flushing > 0
            self._send_due(force=force)

    def _next_delay(self) -> float | None:
        """Seconds until there is something to do; None for as long as nothing changes. Called under the lock."""
        now = self._clock()
        left = None if self._outbox is None else self._outbox.seconds_until_due(now)
        if not self._inbox and left is None:
            return None
        if self._retry_at is not None:
            return self._retry_at - now
        if self._flushing or len(self._inbox) >= self._max_batch:
            return 0.0
        due = self._first_put + self._interval - now if self._inbox else None
        return min(delay for delay in (left, due) if delay is not None)

    def _send_due(self, *, force: bool) -> None:
        """Take what was put, and send until nothing is due or the backend fails."""
        try:
            if self._outbox is None:
                self._outbox = self._create_outbox()
            self._drain_inbox(self._outbox)
            while not self._stopped and (parcel := self._outbox.next_batch(self._clock(), force=force)):
                self._send_batch(self._outbox, parcel)
                self._failures, self.trouble = 0, None
            self._record_refusals(self._outbox)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises: the thread and the queue must survive
            self._schedule_retry(error)
        with self._changed:
            if self._outbox is not None and not self._outbox.pending_count:
                self._settled = self._taken
            self._changed.notify_all()

    def _create_outbox(self) -> Outbox:
        recorder = self._client.is_recorder()
        arrived = self._journal.is_answered if self._journal is not None else lambda track, key: False
        outbox = Outbox(
            self._entry, recorder=recorder, throttle=self._throttle, max_batch=self._max_batch, arrived=arrived
        )
        if self._first is not None:
            outbox.put_first(*self._first)
        return outbox

    def _drain_inbox(self, outbox: Outbox) -> None:
        with self._changed:
            events, self._inbox = self._inbox, []
            self._taken += len(events)
            self._retry_at = None
            for event, only in events:
                outbox.put(event, only)

    def _send_batch(self, outbox: Outbox, parcel: Batch) -> None:
        """Settle the parcel one way or the other; raises when it has to wait."""
        if self._journal is not None:
            self._journal.record_attempt(parcel)
        try:
            if parcel.fields is None:
                self._client.post_logs(parcel.entries, key=parcel.key)
            else:
                self._client.patch_job(parcel.job_id, key=parcel.key, **parcel.fields)
        except BackendRefused as error:
            if error.status not in (CONTENT_STATUSES if parcel.fields is None else CONTENT_STATUSES | JOB_STATUSES):
                raise
            outbox.refuse_batch(str(error))
        except BadValue as error:
            outbox.refuse_batch(str(error))
        else:
            outbox.ack()
            if self._journal is not None:
                self._journal.record_delivery(parcel)
        self._record_refusals(outbox)

    def _record_refusals(self, outbox: Outbox) -> None:
        """Have the journal keep what was set aside."""
        if self._journal is not None:
            for refused in outbox.refused[self._told :]:
                self._journal.record_refusal(refused)
        self._told = len(outbox.refused)

    def _schedule_retry(self, error: Exception) -> None:
        asked = error.retry_after if isinstance(error, BackendUnavailable) else None
        self._failures += 1
        pause = max(MIN_PAUSE_S, self._patience.compute_delay(self._failures, self._draw()))
        with self._changed:
            if self._flushing:  # somebody waits
                pause = min(pause, MAX_FLUSH_PAUSE_S)
            self._retry_at = self._clock() + max(asked or 0.0, pause)
            self.trouble = str(error) or type(error).__name__
