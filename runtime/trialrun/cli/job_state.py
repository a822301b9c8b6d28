"""What a terminal shows of a job: its trials, how far it is, the last messages, kept from its events."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trialrun.numbers import is_finite_number
from trialrun_hookspecs.event import Event

__all__ = ["ENDED_STATUSES", "JobState", "TrialRow"]

ENDED_STATUSES = frozenset({"TERMINATED", "ERROR"})
_FINAL_JOB_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_STATUS_ORDER = {"RUNNING": 0, "TERMINATED": 1, "PAUSED": 1, "PENDING": 2, "ERROR": 3}
_MOST_MESSAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A row; `cells` maps columns to values, NaN and infinities as the words that stand for them."""

    trial_id: str
    status: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class JobState:
    """Takes every event; an event costs what it brings, whatever the number of trials.

    `metric` and `mode` are the objective; None in training mode, where a plugin may still log a table by hand.
    """

    def __init__(self, metric: str | None = None, mode: str | None = None, total: int | None = None) -> None:
        self.metric = metric
        self.total = total
        self.trials: dict[str, TrialRow] = {}
        self.hyperparameters: list[str] = []
        self.metrics: list[str] = []
        self.points: dict[str, Mapping[str, Any]] = {}
        self.messages: deque[Event] = deque(maxlen=_MOST_MESSAGES)
        self.overall = 0.0
        self.eta_s: float | None = None
        self.phase = ""
        self.over = False
        self.chosen = ""
        self._ended = 0
        self._sign = -1.0 if mode == "max" else 1.0

    def apply_event(self, event: Event) -> None:
        """Take in one event. What a trial says of itself alone (its own table, its own progress) is left out."""
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
        """How many trials have ended, well or not."""
        return self._ended

    def objective_value(self, trial: TrialRow) -> float | None:
        """What the trial is judged by; None: it has none that counts."""
        value = trial.metrics.get(self.metric) if self.metric else None
        return float(value) if is_finite_number(value) else None

    def find_best(self) -> TrialRow | None:
        """The best so far: never one with an error, ties to the earlier."""
        if self.chosen in self.trials:
            return self.trials[self.chosen]
        judged = [
            trial
            for trial in self.trials.values()
            if trial.status != "ERROR" and self.objective_value(trial) is not None
        ]
        return min(judged, key=self._objective_loss, default=None)

    def top_trials(self, count: int) -> list[TrialRow]:
        """The `count` rows to show: running ones, then by the objective, those with an error last."""
        return heapq.nsmallest(count, self.trials.values(), key=self._sort_key)

    def _objective_loss(self, trial: TrialRow) -> float:
        value = self.objective_value(trial)
        return math.inf if value is None else self._sign * value

    def _sort_key(self, trial: TrialRow) -> tuple[int, float]:
        return _STATUS_ORDER.get(trial.status, 2), self._objective_loss(trial)

    def _apply_table(self, table: Mapping[str, Any]) -> None:
        self.hyperparameters, self.metrics = list(table["hyperparameters"]), list(table["metrics"])
        self.chosen = table.get("best_trial") or self.chosen
        for trial_id, row in table["trials"].items():
            made = self._parse_row(trial_id, table["base"], row)
            before = self.trials.get(trial_id)
            self._ended += (made.status in ENDED_STATUSES) - (before is not None and before.status in ENDED_STATUSES)
            self.trials[trial_id] = made

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
