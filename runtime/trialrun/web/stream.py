"""The stream: what changes in a job, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from trialrun.recorder.replies import json_reply
from trialrun.recordings.jobs import load_job_details
from trialrun.recordings.library import OpenRecording
from trialrun.recordings.trial_index import BASE, build_trial, tabulate_trials

__all__ = ["Follower", "stream_events"]

TICK_S = 0.1
JOB_EVERY_S = 0.5
QUIET_S = 15.0  # after so long without news a comment is sent: proxies and browsers see that the line is alive
MOST_ROWS = 1_000


class Follower:
    """One client's place in one job: `news` gives what changed since it was asked last.

    A client that falls behind finds the newest row of each trial, never a queue: its work and ours stay bounded.
    """

    def __init__(
        self, reading: OpenRecording, job: int, last_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reading = reading
        self._job = job
        self._clock = clock
        self._epoch = str(reading.beat.fetch_all("SELECT epoch FROM index_state")[0]["epoch"])
        epoch, _, version = last_id.partition(".")
        known = epoch == self._epoch and version.isdecimal() and len(version) < 19
        self._version = int(version) if known else 0
        self._fits = known or not last_id
        self._seen: Any = None
        self._behind = True
        self._job_due = True
        self._job_at = float("-inf")

    @property
    def has_more(self) -> bool:
        """Whether there is more to send at once."""
        return self._behind

    def next_events(self, *, last: bool = False) -> list[bytes]:
        """The events to send now; `last`: none are held back for later."""
        data_version = self._reading.beat.fetch_all("PRAGMA data_version")[0][0]
        if data_version != self._seen:
            self._seen, self._behind, self._job_due = data_version, True, True
        events = []
        if not self._fits:  # its rows are of another time: it has to start anew
            self._fits = True
            events.append(_format_event("reset", {}, f"{self._epoch}.0"))
        if self._behind:
            events += self._row_events()
        if self._job_due and (last or self._clock() - self._job_at >= JOB_EVERY_S):
            self._job_due, self._job_at = False, self._clock()
            page = load_job_details(self._reading.beat, self._job)
            events += [_format_event("job", page, None)] if page else []
        return events

    def _row_events(self) -> list[bytes]:
        rows = self._reading.beat.fetch_all(
            "SELECT * FROM trials WHERE job = ? AND version > ? ORDER BY version LIMIT ?",
            (self._job, self._version, MOST_ROWS),
        )
        self._behind = len(rows) == MOST_ROWS
        if not rows:
            return []
        self._version = rows[-1]["version"]
        changed = [build_trial(row, json.loads(row["cells"])) for row in rows]
        names = {
            "hyperparameters": list(dict.fromkeys(name for trial in changed for name in trial.hyperparameters)),
            "metrics": list(dict.fromkeys(name for trial in changed for name in trial.metrics)),
        }
        made = tabulate_trials(changed, names["hyperparameters"], names["metrics"])
        data = {"columns": {"base": list(BASE), **names}, "rows": made, "version": self._version}
        return [_format_event("rows", data, f"{self._epoch}.{self._version}")]


async def stream_events(follower: Follower, closing: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Events until the server closes; the client's leaving ends it from outside."""
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
    for event in await run_in_threadpool(partial(follower.next_events, last=True)):  # how the job ended
        yield event


def _format_event(name: str, data: Any, last_id: str | None) -> bytes:
    identity = f"id: {last_id}\n" if last_id else ""
    return f"event: {name}\n{identity}data: ".encode() + json_reply(200, data).content + b"\n\n"
