"""The state of a job as a terminal shows it: trials, progress and the last messages, kept from the job's events."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trialrun.outcomes import Mode, find_best_trial, objective_value
from trialrun_hookspecs.event import Event

__all__ = ["ENDED_STATUSES", "JobState", "TrialRow"]

ENDED_STATUSES = frozenset({"TERMINATED", "ERROR"})
_FINAL_JOB_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_STATUS_ORDER = {"RUNNING": 0, "TERMINATED": 1, "PAUSED": 1, "PENDING": 2, "ERROR": 3}
_MAX_MESSAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial; NaN and infinities are the words `nan`, `inf` and `-inf` in its hyperparameters and metrics."""

    trial_id: str
    status: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class JobState:
    """Applies every event of a job; the cost depends on the size of the event, not on the number of trials.

    `metric` and `mode` are the objective; None in training mode, where a plugin may still log a table by hand.
    """

    def __init__(self, metric: str | None = None, mode: Mode | None = None, total: int | None = None) -> None:
        self.metric = metric
        self.total = total
        self.trials: dict[str, TrialRow] = {}
        self.hyperparameters: list[str] = []
        self.metrics: list[str] = []
        self.points: dict[str, Mapping[str, Any]] = {}
        self.messages: deque[Event] = deque(maxlen=_MAX_MESSAGES)
        self.overall = 0.0
        self.eta_s: float | None = None
        self.phase = ""
        self.over = False
        self.best_trial_id = ""
        """The winner that the engine named; empty until then."""
        self._ended_count = 0
        self._mode: Mode = mode or "min"

    def apply_event(self, event: Event) -> None:
        """Apply one event. A trial's own table and its own progress are ignored: they do not describe the job."""
        data = event.data
        if event.kind in ("trials", "trials_delta") and event.trial_id is None:
            self._apply_table(data)
        elif event.kind == "progress" and event.trial_id is None:
            self.overall, self.eta_s, self.phase = data["overall"], data["eta_s"], str(data["category"])
        elif event.kind == "metric" and event.trial_id is None:
            self.points[f"{data['category']}/{data['key']}"] = data
        elif event.kind == "message" and not self.over:
            self.messages.append(event)
        elif event.kind == "status":
            self.over = data["status"] in _FINAL_JOB_STATUSES

    @property
    def num_ended(self) -> int:
        """The number of trials that have ended, those with an error included."""
        return self._ended_count

    def objective_value(self, trial: TrialRow) -> int | float | None:
        """Return the trial's objective; None when it is missing or not a finite number."""
        return objective_value(trial.metrics, self.metric) if self.metric else None

    def find_best(self) -> TrialRow | None:
        """Return the winner that the engine named, else the best trial so far; None when no trial qualifies."""
        if self.best_trial_id in self.trials:
            return self.trials[self.best_trial_id]
        if self.metric is None:
            return None
        rows = ((trial.trial_id, trial.status, trial.metrics) for trial in self.trials.values())
        best = find_best_trial(rows, self.metric, self._mode)
        return None if best is None else self.trials[best]

    def top_trials(self, count: int) -> list[TrialRow]:
        """Return the `count` rows to show: running trials first, then by the objective, those with an error last."""
        return heapq.nsmallest(count, self.trials.values(), key=self._sort_key)

    def _sort_key(self, trial: TrialRow) -> tuple[int, float]:
        value = self.objective_value(trial)
        loss = math.inf if value is None else -value if self._mode == "max" else value
        return _STATUS_ORDER.get(trial.status, 2), loss

    def _apply_table(self, table: Mapping[str, Any]) -> None:
        self.hyperparameters, self.metrics = list(table["hyperparameters"]), list(table["metrics"])
        self.best_trial_id = table.get("best_trial") or self.best_trial_id
        for trial_id, cells in table["trials"].items():
            row = self._parse_row(trial_id, table["base"], cells)
            before = self.trials.get(trial_id)
            was_ended = before is not None and before.status in ENDED_STATUSES
            self._ended_count += (row.status in ENDED_STATUSES) - was_ended
            self.trials[trial_id] = row

    def _parse_row(self, trial_id: str, base: Iterable[str], row: Mapping[str, Any]) -> TrialRow:
        words = row.get("nonfinite", {})
        facts = dict(zip(base, row["base"], strict=False))
        return TrialRow(
            trial_id=trial_id,
            status=str(facts.get("status", "")),
            hyperparameters={
                **dict(zip(self.hyperparameters, row["hyperparameters"], strict=False)),
                **_pick_columns(words, self.hyperparameters),
            },
            metrics={**dict(zip(self.metrics, row["metrics"], strict=False)), **_pick_columns(words, self.metrics)},
        )


def _pick_columns(words: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    return {name: words[name] for name in columns if name in words}
