"""The rules that end a trial or a study early, and which of them did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from trialrun.events import flatten
from trialrun.outcomes import is_better, objective
from trialrun_hookspecs.request import TuneConfig

__all__ = ["StopRules"]


class StopRules:
    """Asked after every result, and before the next trial. `ended_by` names the rule that ended the study."""

    def __init__(self, config: TuneConfig, clock: Callable[[], float], interrupted: threading.Event) -> None:
        self._config = config
        self._clock = clock
        self._start = clock()
        self._reached: str = ""
        self.interrupted = interrupted

    def trial(self, result: Mapping[str, Any]) -> str:
        """The rule that ends this trial, or an empty string."""
        self._note_target(result)
        flat = flatten(result)
        for name, bound in self._config.stop.items():
            value = flat.get(name)
            if isinstance(value, int | float) and value >= bound:
                return f"stop: {name} reached {bound:g}"
        return ""

    def _note_target(self, result: Mapping[str, Any]) -> None:
        target, value = self._config.target, objective(result, self._config.metric)
        if target is None or value is None or self._reached:
            return
        if value == target or is_better(value, target, self._config.mode):
            self._reached = f"target: {self._config.metric} reached {value:g}"

    @property
    def ended_by(self) -> str:
        """The rule that ends the study, or an empty string."""
        if self.interrupted.is_set():
            return "interrupted"
        budget = self._config.time_budget_s
        if not self._reached and budget is not None and self._clock() - self._start >= budget:
            self._reached = f"time_budget_s: {budget:g} s are over"
        return self._reached
