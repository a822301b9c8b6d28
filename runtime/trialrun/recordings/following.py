"""Following a recording that another process writes: what came since, as events."""

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

AT_ONCE = 2_000
_NEW_ENTRIES_QUERY = (
    "SELECT id, event, trial_id, time, data FROM entries NOT INDEXED WHERE id > ? AND job = ? AND (trial_id IS NULL"
    " AND event IN ('metric', 'progress', 'status', 'trials', 'trials_delta') OR event = 'message') ORDER BY id LIMIT ?"
)


class StudyFollower:
    """Each `news()` gives the events that came since the last; the first gives all that are there."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._last = 0
        self._progress: tuple[Any, ...] = ()
        self._told_progress = False
        self.over = False
        """Whether the job has ended, and everything was given."""

    def read_new_events(self, now: datetime) -> Iterator[Event]:
        """What a trial says of itself alone is left out. The time left is what is left of it `now`."""
        facts = self._study.read_job_facts()
        over = facts["status"] in FINAL_STATUSES  # looked at first: what was sent before it is read below
        while rows := self._read_new_rows():
            self._last = rows[-1]["id"]
            for row in rows:
                event = _parse_event(row, now)
                if event is not None:
                    self._told_progress = self._told_progress or event.kind == "progress"
                    yield event
        if not self._told_progress:
            yield from self._job_progress(facts, now)
        if over and not self.over:
            self.over = True
            yield Event(kind="status", data={"status": facts["status"]}, time=facts["updated"], job_id=self._study.job)

    def _read_new_rows(self) -> list[Row]:
        return self._study.recording.store.fetch_all(_NEW_ENTRIES_QUERY, (self._last, self._study.job, AT_ONCE))

    def _job_progress(self, facts: dict[str, Any], now: datetime) -> Iterator[Event]:
        """The progress of a client that tells of it with PATCH alone."""
        record = facts["progress_record"] if isinstance(facts["progress_record"], dict) else {}
        overall, left = facts["progress"]["overall"], record.get("time_remaining")
        if overall is None or (overall, left) == self._progress:
            return
        self._progress = overall, left
        data = {"category": "", "current": overall, "total": 100, "overall": overall / 100, "eta_s": left}
        yield _adjust_eta(Event(kind="progress", data=data, time=facts["updated"], job_id=self._study.job), now)


def _parse_event(row: Row, now: datetime) -> Event | None:
    """None for what another client sent in a shape of its own."""
    data = json.loads(row["data"])
    if not isinstance(data, dict) or row["event"] not in KINDS:
        return None
    needed = _NEEDED.get(row["event"], ())
    if not all(isinstance(data.get(name), kind) for name, kind in needed):
        return None
    event = Event(kind=row["event"], data=data, time=row["time"], trial_id=row["trial_id"])
    return _adjust_eta(event, now) if event.kind == "progress" else event


_NEEDED: dict[str, tuple[tuple[str, Any], ...]] = {
    "message": (("content", str), ("context", str)),
    "metric": (("category", str), ("key", str), ("value", int | float)),
    "progress": (("category", str), ("current", int | float), ("total", int | float), ("overall", int | float)),
    "status": (("status", str),),
    "trials": (("base", list), ("hyperparameters", list), ("metrics", list), ("trials", dict)),
    "trials_delta": (("base", list), ("hyperparameters", list), ("metrics", list), ("trials", dict)),
}


def _adjust_eta(event: Event, now: datetime) -> Event:
    left = event.data.get("eta_s")
    if not is_number(left):
        left = None
    else:
        age = (now - datetime.fromisoformat(event.time).astimezone(UTC)).total_seconds()
        left = max(left - max(age, 0.0), 0.0)
    return Event(kind="progress", data={**event.data, "eta_s": left}, time=event.time, job_id=event.job_id)
