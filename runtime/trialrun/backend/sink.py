"""The queue between reported events and the backend."""

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
# Statuses that refuse the content of a call. Others (a token, a URL, a redirect) would refuse every call, whatever it
# holds. A PATCH that finds no job concerns that job only.
CONTENT_STATUSES = frozenset({400, 409, 413, 422})
JOB_STATUSES = frozenset({404, 410})


class DeliveryClient(Protocol):
    """The part of a client that a sink uses."""

    def is_recorder(self) -> bool: ...
    def post_logs(self, entries: Sequence[Mapping[str, Any]], *, key: str | None = None) -> None: ...
    def patch_job(self, job_id: int, *, key: str | None = None, **fields: Any) -> None: ...


class DeliveryLog(Protocol):
    """Remembers across processes which events were sent; `trialrun.backend.ledger.Ledger` is one."""

    def is_answered(self, channel: Channel, key: str) -> bool: ...
    def record_attempt(self, batch: Batch) -> None: ...
    def record_delivery(self, batch: Batch) -> None: ...
    def record_refusal(self, refused: RefusedEvent) -> None: ...


class LogSink:
    """Delivers events in its own thread, in order and once; `put` never waits for the network.

    Entries are sent in batches of at most `max_batch`, at most `interval` seconds after they were put. A batch that is
    refused is halved until the refused entry is found; that one goes to `refused_events`, the others are delivered.
    While the backend gives no usable answer, everything waits and is retried with growing pauses; `trouble` names the
    reason. Events that still wait when `close` times out stay in `pending_count`. `entry` builds the wire form of an
    event. Events that a `delivery_log` knows as answered are not sent again.
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
        retry_policy: RetryPolicy | None = None,
        draw: Callable[[], float] = random.random,
        delivery_log: DeliveryLog | None = None,
    ) -> None:
        self._client, self._entry, self._clock, self._draw = client, entry, clock, draw
        self._max_batch, self._interval = max_batch, interval
        self._throttle = throttle or Coalescer(clock)
        self._retry_policy = retry_policy or RetryPolicy(first=0.5, longest=30.0)
        self._delivery_log = delivery_log
        self._logged_refusals = 0  # how many refused events the delivery log has
        self._first: tuple[Channel, Sequence[Event]] | None = None
        self._changed = threading.Condition()
        self._inbox: list[tuple[Event, Channel | None]] = []
        self._first_put = 0.0
        self._taken = 0  # events that have left the inbox
        self._settled = 0  # how many of them had left when nothing waited
        self._flushing = 0
        self._stopped = False
        self._outbox: Outbox | None = None
        self._failures = 0
        self._retry_at: float | None = None
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run_loop, name="trialrun-sink", daemon=True)
        self._thread.start()

    def put_first(self, channel: Channel, events: Sequence[Event]) -> None:
        """Set the events to send before all others, in one call; to be called before `put`."""
        self._first = channel, events

    def put(self, event: Event, only: Channel | None = None) -> None:
        """Queue an event. After `close` it only adds to `pending_count`. `only`: see `Outbox.put`."""
        with self._changed:
            self._inbox.append((event, only))
            waiting = len(self._inbox)
            if waiting == 1:
                self._first_put = self._clock()
            if waiting in (1, self._max_batch):  # otherwise the thread's deadline is unchanged
                self._changed.notify_all()

    def is_due(self, event: Event) -> bool:
        """Return whether the event must still be sent on a channel, as far as the delivery log knows."""
        outbox, delivery_log = self._outbox, self._delivery_log
        if delivery_log is None:
            return True
        recorder = outbox is None or outbox.recorder  # until it is known: a recorder gets more than a platform
        return not all(
            delivery_log.is_answered(channel, event.key) for channel in select_channels(event, recorder=recorder)
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Send what was put so far at once and wait until it is answered; return False after `timeout` seconds."""
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
        """Flush, then end the thread; `pending_count` counts what was not delivered within `timeout` seconds.

        A call that is in progress at the timeout may still arrive; none follows it.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self.flush(timeout)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(None if end is None else max(0.1, end - time.monotonic()))

    @property
    def total_delivered(self) -> int:
        """The number of events that were accepted, counted per channel."""
        return 0 if self._outbox is None else self._outbox.delivered

    @property
    def refused_events(self) -> tuple[RefusedEvent, ...]:
        """The refused events with their reasons."""
        return () if self._outbox is None else tuple(self._outbox.refused)

    @property
    def pending_count(self) -> int:
        """The number of events that wait; after `close`, of those that were not delivered."""
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
        """Return the seconds until something is due; None: wait for a change. Called under the lock."""
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
        """Queue what was put, and send until nothing is due or the backend fails."""
        try:
            if self._outbox is None:
                self._outbox = self._create_outbox()
            self._drain_inbox(self._outbox)
            while not self._stopped and (batch := self._outbox.next_batch(self._clock(), force=force)):
                self._send_batch(self._outbox, batch)
                self._failures, self.trouble = 0, None
            self._record_refusals(self._outbox)
        except Exception as error:  # noqa: BLE001 - the thread and the queue must survive any error of a transport
            self._schedule_retry(error)
        with self._changed:
            if self._outbox is not None and not self._outbox.pending_count:
                self._settled = self._taken
            self._changed.notify_all()

    def _create_outbox(self) -> Outbox:
        recorder = self._client.is_recorder()
        is_answered = self._delivery_log.is_answered if self._delivery_log is not None else lambda channel, key: False
        outbox = Outbox(
            self._entry, recorder=recorder, throttle=self._throttle, max_batch=self._max_batch, arrived=is_answered
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

    def _send_batch(self, outbox: Outbox, batch: Batch) -> None:
        """Send the batch until it is accepted or refused. Raises when it must wait."""
        if self._delivery_log is not None:
            self._delivery_log.record_attempt(batch)
        try:
            if batch.fields is None:
                self._client.post_logs(batch.entries, key=batch.key)
            else:
                self._client.patch_job(batch.job_id, key=batch.key, **batch.fields)
        except BackendRefused as error:
            if error.status not in (CONTENT_STATUSES if batch.fields is None else CONTENT_STATUSES | JOB_STATUSES):
                raise
            outbox.refuse_batch(str(error))
        except BadValue as error:
            outbox.refuse_batch(str(error))
        else:
            outbox.ack()
            if self._delivery_log is not None:
                self._delivery_log.record_delivery(batch)
        self._record_refusals(outbox)

    def _record_refusals(self, outbox: Outbox) -> None:
        """Add new refused events to the delivery log."""
        if self._delivery_log is not None:
            for refused in outbox.refused[self._logged_refusals :]:
                self._delivery_log.record_refusal(refused)
        self._logged_refusals = len(outbox.refused)

    def _schedule_retry(self, error: Exception) -> None:
        requested = error.retry_after if isinstance(error, BackendUnavailable) else None
        self._failures += 1
        pause = max(MIN_PAUSE_S, self._retry_policy.compute_delay(self._failures, self._draw()))
        with self._changed:
            if self._flushing:  # a caller waits
                pause = min(pause, MAX_FLUSH_PAUSE_S)
            self._retry_at = self._clock() + max(requested or 0.0, pause)
            self.trouble = str(error) or type(error).__name__
