"""The state of a run: status, progress, time left, counts, best so far, in one value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trialrun.numbers import is_number
from trialrun.recordings.rows import trial_values
from trialrun.recordings.source import FINAL_STATUSES, Study
from trialrun.run_dir.lock import is_locked

__all__ = ["RunState", "read_state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """`progress` is 0..1 or None; `left_s` are the seconds left from now; `phases` maps names to (done, total).

    `running` is True while a process holds the run, None where that is unknown, as for a recording of another client.
    """

    name: str
    job_id: int
    status: str
    progress: float | None
    left_s: float | None
    phases: dict[str, tuple[float, float]]
    trials: dict[str, int]
    metric: str | None
    best: dict[str, Any] | None
    started: str
    heard: str
    running: bool | None
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def is_interrupted(self) -> bool:
        """True when its status is not final and no process holds it."""
        return not self.is_over and self.running is False


def read_state(study: Study, now: datetime) -> RunState:
    """Return the state at the time `now`, from the recording and its folder."""
    facts = study.read_job_facts()
    trials = study.list_trials()
    heard = max([str(facts["updated"]), *_read_last_entry_time(study)])
    record = facts["progress_record"] if isinstance(facts["progress_record"], dict) else {}
    overall, left = facts["progress"]["overall"], record.get("time_remaining")
    best = study.find_best_id(trials)
    row = next((trial for trial in trials if trial.trial == best), None)
    return RunState(
        name=study.name,
        job_id=study.job,
        status=str(facts["status"]),
        progress=None if overall is None else min(max(overall / 100, 0.0), 1.0),
        left_s=_seconds_left(left, str(facts["updated"]), now) if facts["status"] not in FINAL_STATUSES else None,
        phases=_parse_phases(facts["progress"]["categories"]),
        trials=dict(Counter(trial.status or "REPORTED" for trial in trials)),
        metric=study.get_objective()[0],
        best=None if row is None else {"trial_id": row.trial, "metrics": trial_values(row)[1]},
        started=str(facts["created"]),
        heard=heard,
        running=is_locked(study.folder),
        error=study.read_error(),
    )


def _read_last_entry_time(study: Study) -> list[str]:
    row = study.recording.store.fetch_one(
        "SELECT time FROM entries WHERE job = ? ORDER BY id DESC LIMIT 1", (study.job,)
    )
    return [str(row["time"])] if row else []


def _seconds_left(sent: Any, at: str, now: datetime) -> float | None:
    if not is_number(sent):
        return None
    return max(float(sent) - (now - datetime.fromisoformat(at).astimezone(UTC)).total_seconds(), 0.0)


def _parse_phases(categories: Any) -> dict[str, tuple[float, float]]:
    phases: dict[str, tuple[float, float]] = {}
    for name, part in categories.items() if isinstance(categories, dict) else ():
        done, total = (part.get("current"), part.get("total")) if isinstance(part, dict) else (None, None)
        if isinstance(done, int | float) and isinstance(total, int | float):
            phases[str(name)] = done, total
    return phases
