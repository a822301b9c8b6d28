"""The rules that end a trial or a study early, and which of them did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialrun.events import flatten_mapping
from trialrun.executors.stoppers import IsolatedStopper
from trialrun.outcomes import is_better, objective_value
from trialrun.run_dir.history import StudyHistory
from trialrun_hookspecs.request import Plateau, TuneConfig

__all__ = ["StopRules"]


@dataclass(slots=True)
class _Best:
    """The best value so far, and how many came since that did not beat it."""

    value: float | None = None
    since: int = 0
    seen: int = 0

    def add_value(self, value: float, mode: Any, min_delta: float) -> None:
        self.seen += 1
        moved = self.value is None or is_better(value, self.value + (min_delta if mode == "max" else -min_delta), mode)
        if moved:
            self.value, self.since = value, 0
        else:
            self.since += 1

    def is_flat(self, rule: Plateau) -> bool:
        return self.seen > rule.grace_period and self.since >= rule.patience


class StopRules:
    """Asked after every result, and before the next trial. `ended_by` names the rule that ended the study."""

    def __init__(
        self,
        config: TuneConfig,
        clock: Callable[[], float],
        interrupted: threading.Event,
        history: StudyHistory | None = None,
        stoppers: Sequence[IsolatedStopper] = (),
    ) -> None:
        self._config = config
        self._stoppers = tuple(stoppers)
        self._clock = clock
        self._start = clock() - (history.used_s if history else 0.0)
        self._reached: str = ""
        self._trials: dict[str, _Best] = {}
        self._study = _Best()
        self._unseen = set(config.stop)
        self.interrupted = interrupted
        self.reasons: dict[str, str] = {}
        for outcome in history.outcomes.values() if history else ():
            self.record_trial_end(None if outcome.error else objective_value(outcome.metrics, config.metric))
            self._unseen -= flatten_mapping(outcome.metrics).keys()
        for trial_id, number, metrics in history.results if history else ():
            self._check_stoppers(trial_id, {**metrics, "training_iteration": number, "trial_id": trial_id})

    def check_trial(self, trial_id: str, result: Mapping[str, Any]) -> str:
        """The rule that ends this trial, or an empty string; kept in `reasons`."""
        value = objective_value(result, self._config.metric)
        self._check_target(value)
        theirs = self._check_stoppers(trial_id, result)  # always asked: it may count
        reason = self._check_stop(result) or self._check_plateau(trial_id, value) or theirs
        if reason:
            self.reasons.setdefault(trial_id, reason)
        return reason

    def end_study(self, reason: str) -> None:
        """Something else ends it, unless a rule has."""
        self._reached = self._reached or reason

    def record_trial_end(self, value: float | None) -> None:
        """A trial came to its end with this objective (None: it failed)."""
        rule = self._config.plateau.study
        if rule is None or value is None:
            return
        self._study.add_value(value, self._config.mode, rule.min_delta)
        if self._study.is_flat(rule) and not self._reached:
            self._reached = f"plateau.study: {self._config.metric} did not improve in {self._study.since} trials"

    def _check_stop(self, result: Mapping[str, Any]) -> str:
        flat = flatten_mapping(result)
        self._unseen -= flat.keys()
        for name, bound in self._config.stop.items():
            value = flat.get(name)
            if isinstance(value, int | float) and value >= bound:
                return f"stop: {name} reached {bound:g}"
        return ""

    def _check_stoppers(self, trial_id: str, result: Mapping[str, Any]) -> str:
        stopped = [stopper.name for stopper in self._stoppers if stopper.should_stop(trial_id, result)]
        return f"stopper: {stopped[0]} ended it" if stopped else ""

    def _check_plateau(self, trial_id: str, value: float | None) -> str:
        rule = self._config.plateau.trial
        if rule is None or value is None:
            return ""
        best = self._trials.setdefault(trial_id, _Best())
        best.add_value(value, self._config.mode, rule.min_delta)
        return (
            f"plateau.trial: {self._config.metric} did not improve in {best.since} reports"
            if best.is_flat(rule)
            else ""
        )

    def _check_target(self, value: float | None) -> None:
        target = self._config.target
        if target is None or value is None or self._reached:
            return
        if value == target or is_better(value, target, self._config.mode):
            self._reached = f"target: {self._config.metric} reached {value:g}"

    @property
    def missing_metrics(self) -> list[str]:
        """Metrics of `stop` that no result held, so that the rule could not do anything."""
        return sorted(self._unseen)

    @property
    def ended_by(self) -> str:
        """The rule that ends the study, or an empty string."""
        if self.interrupted.is_set():
            return "interrupted"
        budget = self._config.time_budget_s
        if not self._reached and budget is not None and self._clock() - self._start >= budget:
            self._reached = f"time_budget_s: {budget:g} s are over"
        for stopper in self._stoppers:
            if not self._reached and stopper.should_stop_all():
                self._reached = f"stopper: {stopper.name} ended the study"
        return self._reached
