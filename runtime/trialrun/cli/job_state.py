"""What a terminal shows of a job: its trials, how far it is, the last messages, kept from its events."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trialrun_hookspecs.event import Event

__all__ = ["ENDED", "Board", "Trial"]

ENDED = frozenset({"TERMINATED", "ERROR"})
_OVER = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_ORDER = {"RUNNING": 0, "TERMINATED": 1, "PAUSED": 1, "PENDING": 2, "ERROR": 3}
_MESSAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A row; `cells` maps columns to values, NaN and infinities as the words that stand for them."""

    trial_id: str
    status: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Board:
    """Takes every event; an event costs what it brings, whatever the number of trials.

    `metric` and `mode` are the objective; None in training mode, where a plugin may still log a table by hand.
    """

    def __init__(self, metric: str | None = None, mode: str | None = None, total: int | None = None) -> None:
        self.metric = metric
        self.total = total
        self.trials: dict[str, Trial] = {}
        self.hyperparameters: list[str] = []
        self.metrics: list[str] = []
        self.points: dict[str, Mapping[str, Any]] = {}
        self.messages: deque[Event] = deque(maxlen=_MESSAGES)
        self.overall = 0.0
        self.eta_s: float | None = None
        self.phase = ""
        self.over = False
        self.chosen = ""
        self._ended = 0
        self._sign = -1.0 if mode == "max" else 1.0

    def take(self, event: Event) -> None:
        """Take in one event. What a trial says of itself alone (its own table, its own progress) is left out."""
        data = event.data
        if event.kind in ("trials", "trials_delta") and event.trial_id is None:
            self._take_table(data)
        elif event.kind == "progress" and event.trial_id is None:
            self.overall, self.eta_s, self.phase = data["overall"], data["eta_s"], str(data["category"])
        elif event.kind == "metric" and event.trial_id is None:
            self.points[f"{data['category']}/{data['key']}"] = data
        elif event.kind == "message" and not self.over:
            self.messages.append(event)
        elif event.kind == "status":
            self.over = data["status"] in _OVER

    @property
    def ended(self) -> int:
        """How many trials have ended, well or not."""
        return self._ended

    def objective(self, trial: Trial) -> float | None:
        """What the trial is judged by; None: it has none that counts."""
        value = trial.metrics.get(self.metric) if self.metric else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def best(self) -> Trial | None:
        """The best so far: never one with an error, ties to the earlier."""
        if self.chosen in self.trials:
            return self.trials[self.chosen]
        judged = [
            trial for trial in self.trials.values() if trial.status != "ERROR" and self.objective(trial) is not None
        ]
        return min(judged, key=self._loss, default=None)

    def first(self, count: int) -> list[Trial]:
        """The `count` rows to show: running ones, then by the objective, those with an error last."""
        return heapq.nsmallest(count, self.trials.values(), key=self._rank)

    def _loss(self, trial: Trial) -> float:
        value = self.objective(trial)
        return math.inf if value is None else self._sign * value

    def _rank(self, trial: Trial) -> tuple[int, float]:
        return _ORDER.get(trial.status, 2), self._loss(trial)

    def _take_table(self, table: Mapping[str, Any]) -> None:
        self.hyperparameters, self.metrics = list(table["hyperparameters"]), list(table["metrics"])
        self.chosen = table.get("best_trial") or self.chosen
        for trial_id, row in table["trials"].items():
            made = self._trial(trial_id, table["base"], row)
            before = self.trials.get(trial_id)
            self._ended += (made.status in ENDED) - (before is not None and before.status in ENDED)
            self.trials[trial_id] = made

    def _trial(self, trial_id: str, base: Iterable[str], row: Mapping[str, Any]) -> Trial:
        words = row.get("nonfinite", {})
        facts = dict(zip(base, row["base"], strict=False))
        return Trial(
            trial_id=trial_id,
            status=str(facts.get("status", "")),
            hyperparameters={
                **dict(zip(self.hyperparameters, row["hyperparameters"], strict=False)),
                **_of(words, self.hyperparameters),
            },
            metrics={**dict(zip(self.metrics, row["metrics"], strict=False)), **_of(words, self.metrics)},
        )


def _of(words: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    return {name: words[name] for name in columns if name in words}
