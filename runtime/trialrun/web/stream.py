"""The stream: changes of a job as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from trialrun.recorder.replies import json_reply
from trialrun.recordings.jobs import load_job_details
from trialrun.recordings.library import OpenRecording
from trialrun.recordings.trial_index import TrialIndex

__all__ = ["Follower", "stream_events"]

TICK_S = 0.1
JOB_EVERY_S = 0.5
QUIET_S = 15.0  # after this time without events a comment tells proxies and browsers that the stream is alive
MOST_ROWS = 1_000


class Follower:
    """The position of one client in one job: `next_events` returns what changed since the last call.

    A slow client gets the newest row of each trial, never a queue, so that work stays bounded on both sides.
    """

    def __init__(
        self, recording: OpenRecording, job: int, last_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = recording.stream_store
        self._job = job
        self._clock = clock
        self._epoch = str(self._store.fetch_all("SELECT epoch FROM index_state")[0]["epoch"])
        epoch, _, version = last_id.partition(".")
        known = epoch == self._epoch and version.isdecimal() and len(version) < 19
        self._version = int(version) if known else 0
        self._reset_due = bool(last_id) and not known
        self._data_version: Any = None
        self._behind = True
        self._job_due = True
        self._job_at = float("-inf")

    @property
    def has_more(self) -> bool:
        """True when rows are left to send now."""
        return self._behind

    def next_events(self, *, last: bool = False) -> list[bytes]:
        """Return the events to send now; with `last` none are held back."""
        data_version = self._store.fetch_all("PRAGMA data_version")[0][0]
        if data_version != self._data_version:
            self._data_version, self._behind, self._job_due = data_version, True, True
        events = []
        if self._reset_due:  # the client has rows of another index and must drop them
            self._reset_due = False
            events.append(_format_event("reset", {}, f"{self._epoch}.0"))
        if self._behind:
            events += self._row_events()
        if self._job_due and (last or self._clock() - self._job_at >= JOB_EVERY_S):
            self._job_due, self._job_at = False, self._clock()
            details = load_job_details(self._store, self._job)
            events += [_format_event("job", details, None)] if details else []
        return events

    def _row_events(self) -> list[bytes]:
        changes = TrialIndex.load_changes(self._store, self._job, self._version, MOST_ROWS)
        trials = changes.all_trials()
        self._behind = len(trials) == MOST_ROWS
        if not trials:
            return []
        self._version = changes.version
        data = {**changes.build_table(trials), "version": self._version}
        return [_format_event("rows", data, f"{self._epoch}.{self._version}")]


async def stream_events(follower: Follower, closing: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield events until the server closes; a client that leaves ends the generator from outside."""
    from starlette.concurrency import run_in_threadpool

    yield b"retry: 1000\n\n"
    quiet_since = time.monotonic()
    while not closing():
        for event in await run_in_threadpool(follower.next_events):
            quiet_since = time.monotonic()
            yield event
        if time.monotonic() - quiet_since > QUIET_S:
            quiet_since = time.monotonic()
            yield b": still here\n\n"
        if not follower.has_more:
            await asyncio.sleep(TICK_S)
    for event in await run_in_threadpool(partial(follower.next_events, last=True)):  # the end of the job
        yield event


def _format_event(name: str, data: Any, last_id: str | None) -> bytes:
    identity = f"id: {last_id}\n" if last_id else ""
    return f"event: {name}\n{identity}data: ".encode() + json_reply(200, data).content + b"\n\n"
