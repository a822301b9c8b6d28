"""A stopper hook: end a trial whose loss runs away, and the study when that happens again and again.

    trialrun run job.json --plugin … --with divergence

A function would do for the first of the two: `def diverged(trial_id, result): return result["loss"] > 100`. What
remembers something, or ends the study, is an object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trialrun_hookspecs import hookimpl

__all__ = ["Divergence", "stoppers"]


@hookimpl
def stoppers() -> Iterable[Divergence]:
    """Give the rule for `loss`. A plugin of yours gives its own: `[Divergence(metric="val/loss", factor=3)]`."""
    return [Divergence()]


class Divergence:
    """A trial ends when its loss is more than `factor` times the first that it reported.

    The study ends when `trials` of them in a row did, without one that was better than its own first loss.
    """

    def __init__(self, *, metric: str = "loss", factor: float = 10.0, trials: int = 5) -> None:
        self._metric = metric
        self._factor = factor
        self._trials = trials
        self._first: dict[str, float] = {}
        self._diverged: set[str] = set()
        self._in_a_row = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        value = result.get(self._metric)
        if not isinstance(value, int | float):
            return False
        first = self._first.setdefault(trial_id, value)
        if value < first:
            self._in_a_row = 0
        elif value > self._factor * abs(first) and trial_id not in self._diverged:
            self._diverged.add(trial_id)
            self._in_a_row += 1
        return trial_id in self._diverged

    def stop_all(self) -> bool:
        return self._in_a_row >= self._trials
