"""The follower of a recording that another process writes: new entries as events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from trialrun.events import KINDS
from trialrun.numbers import is_number
from trialrun.recorder.store import Row
from trialrun.recordings.source import FINAL_STATUSES, Study
from trialrun_hookspecs.event import Event

__all__ = ["StudyFollower"]

BATCH_SIZE = 2_000
_NEW_ENTRIES_QUERY = (
    "SELECT id, event, trial_id, time, data FROM entries NOT INDEXED WHERE id > ? AND job = ? AND (trial_id IS NULL"
    " AND event IN ('metric', 'progress', 'status', 'trials', 'trials_delta') OR event = 'message') ORDER BY id LIMIT ?"
)


class StudyFollower:
    """Reads a study repeatedly: each call of `read_new_events` yields the events since the last call."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._last = 0
        self._progress: tuple[Any, ...] = ()
        self._has_progress_events = False
        self.over = False
        """Whether the job has ended and all its events were yielded."""

    def read_new_events(self, now: datetime) -> Iterator[Event]:
        """Yield the new events of the job, without those of single trials. The time left is adjusted to `now`."""
        facts = self._study.read_job_facts()
        over = facts["status"] in FINAL_STATUSES  # read first, so that everything sent before it is read below
        while rows := self._read_new_rows():
            self._last = rows[-1]["id"]
            for row in rows:
                event = _parse_event(row, now)
                if event is not None:
                    self._has_progress_events = self._has_progress_events or event.kind == "progress"
                    yield event
        if not self._has_progress_events:
            yield from self._job_progress(facts, now)
        if over and not self.over:
            self.over = True
            yield Event(kind="status", data={"status": facts["status"]}, time=facts["updated"], job_id=self._study.job)

    def _read_new_rows(self) -> list[Row]:
        return self._study.recording.store.fetch_all(_NEW_ENTRIES_QUERY, (self._last, self._study.job, BATCH_SIZE))

    def _job_progress(self, facts: dict[str, Any], now: datetime) -> Iterator[Event]:
        """Yield the progress of a client that reports it with PATCH alone."""
        record = facts["progress_record"] if isinstance(facts["progress_record"], dict) else {}
        overall, left = facts["progress"]["overall"], record.get("time_remaining")
        if overall is None or (overall, left) == self._progress:
            return
        self._progress = overall, left
        data = {"category": "", "current": overall, "total": 100, "overall": overall / 100, "eta_s": left}
        yield _adjust_eta(Event(kind="progress", data=data, time=facts["updated"], job_id=self._study.job), now)


def _parse_event(row: Row, now: datetime) -> Event | None:
    """Return the event of an entry; None for one that another client sent in a shape of its own."""
    data = json.loads(row["data"])
    if not isinstance(data, dict) or row["event"] not in KINDS:
        return None
    if not all(isinstance(data.get(name), kind) for name, kind in _REQUIRED.get(row["event"], ())):
        return None
    event = Event(kind=row["event"], data=data, time=row["time"], trial_id=row["trial_id"])
    return _adjust_eta(event, now) if event.kind == "progress" else event


_REQUIRED: dict[str, tuple[tuple[str, Any], ...]] = {
    "message": (("content", str), ("context", str)),
    "metric": (("category", str), ("key", str), ("value", int | float)),
    "progress": (("category", str), ("current", int | float), ("total", int | float), ("overall", int | float)),
    "status": (("status", str),),
    "trials": (("base", list), ("hyperparameters", list), ("metrics", list), ("trials", dict)),
    "trials_delta": (("base", list), ("hyperparameters", list), ("metrics", list), ("trials", dict)),
}


def _adjust_eta(event: Event, now: datetime) -> Event:
    left: Any = event.data.get("eta_s")
    if not is_number(left):
        left = None
    else:
        age = (now - datetime.fromisoformat(event.time).astimezone(UTC)).total_seconds()
        left = max(left - max(age, 0.0), 0.0)
    return Event(kind="progress", data={**event.data, "eta_s": left}, time=event.time, job_id=event.job_id)
