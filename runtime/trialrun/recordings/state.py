"""Where a run stands: status, progress, time left, counts, best so far, in one value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trialrun.recordings.rows import values_of
from trialrun.recordings.source import OVER, Study, is_held

__all__ = ["State", "state_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`progress` is 0..1 or None; `left_s` as of now; `phases` maps names to (done, total).

    `running` says whether a process holds the run; None where nothing can say so, as for a recording of another client.
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
    def over(self) -> bool:
        return self.status in OVER

    @property
    def cut_off(self) -> bool:
        """It says that it runs, and no process holds it."""
        return not self.over and self.running is False


def state_of(study: Study, now: datetime) -> State:
    """What the recording and its folder say at this moment."""
    facts = study.facts()
    trials = study.trials()
    heard = max([str(facts["updated"]), *_last_entry(study)])
    record = facts["progress_record"] if isinstance(facts["progress_record"], dict) else {}
    overall, left = facts["progress"]["overall"], record.get("time_remaining")
    best = study.best(trials)
    row = next((trial for trial in trials if trial.trial == best), None)
    return State(
        name=study.name,
        job_id=study.job,
        status=str(facts["status"]),
        progress=None if overall is None else min(max(overall / 100, 0.0), 1.0),
        left_s=_left(left, str(facts["updated"]), now) if facts["status"] not in OVER else None,
        phases=_phases(facts["progress"]["categories"]),
        trials=dict(Counter(trial.status or "REPORTED" for trial in trials)),
        metric=study.objective()[0],
        best=None if row is None else {"trial_id": row.trial, "metrics": values_of(row)[1]},
        started=str(facts["created"]),
        heard=heard,
        running=is_held(study.folder),
        error=study.error(),
    )


def _last_entry(study: Study) -> list[str]:
    row = study.reading.store.row("SELECT time FROM entries WHERE job = ? ORDER BY id DESC LIMIT 1", (study.job,))
    return [str(row["time"])] if row else []


def _left(said: Any, at: str, now: datetime) -> float | None:
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return max(float(said) - (now - datetime.fromisoformat(at).astimezone(UTC)).total_seconds(), 0.0)


def _phases(categories: Any) -> dict[str, tuple[float, float]]:
    made: dict[str, tuple[float, float]] = {}
    for name, part in categories.items() if isinstance(categories, dict) else ():
        done, total = (part.get("current"), part.get("total")) if isinstance(part, dict) else (None, None)
        if isinstance(done, int | float) and isinstance(total, int | float):
            made[str(name)] = done, total
    return made
