"""The Ray scheduler that `trialrun_reference.patience` offers."""

from __future__ import annotations

import math
from typing import Any

from ray.tune.schedulers import FIFOScheduler

__all__ = ["PatienceScheduler"]


class PatienceScheduler(FIFOScheduler):
    """First in, first out; a trial stops after `patience` results in a row that are not better than its best.

    Better means by more than `min_delta`. A result whose metric is absent, NaN or not a number is not better.
    """

    def __init__(self, *, metric: str | None, mode: str | None, patience: int = 5, min_delta: float = 0.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray annotates only in part
        self._metric = metric
        self._mode = mode
        self._patience = patience
        self._min_delta = min_delta
        self._best: dict[str, float] = {}
        self._waited: dict[str, int] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        if (self._metric or metric) != (metric or self._metric) or (self._mode or mode) != (mode or self._mode):
            return False
        self._metric, self._mode = metric or self._metric, mode or self._mode
        return True

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        value = result.get(self._metric or "")
        gain = (1 if self._mode == "max" else -1) * (value if isinstance(value, int | float) else math.nan)
        if gain > self._best.get(trial.trial_id, -math.inf) + self._min_delta:
            self._best[trial.trial_id] = gain
            self._waited[trial.trial_id] = 0
            return str(self.CONTINUE)
        self._waited[trial.trial_id] = self._waited.get(trial.trial_id, 0) + 1
        return str(self.STOP if self._waited[trial.trial_id] >= self._patience else self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._forget_trial(trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._forget_trial(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._forget_trial(trial)

    def _forget_trial(self, trial: Any) -> None:
        self._best.pop(trial.trial_id, None)
        self._waited.pop(trial.trial_id, None)

    def debug_string(self) -> str:
        return f"Stopping trials after {self._patience} results without a better {self._metric}."
