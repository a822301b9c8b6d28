"""A stopper hook: end a trial whose loss diverges, and the study when several trials in a row do.

    trialrun run job.json --plugin … --with divergence

A function is enough to end a trial: `def diverged(trial_id, result): return result["loss"] > 100`. A stopper that keeps
state, or ends the study, is an object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trialrun_hookspecs import hookimpl

__all__ = ["Divergence", "stoppers"]


@hookimpl
def stoppers() -> Iterable[Divergence]:
    """Return the rule for `loss`. Your own plugin returns its own, such as `[Divergence("val/loss", factor=3)]`."""
    return [Divergence()]


class Divergence:
    """Ends a trial when its loss exceeds `factor` times the first that it reported.

    It ends the study after `trials` such trials in a row, without one between them that improved on its first loss.
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
