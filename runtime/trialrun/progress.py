"""The progress of a job: weighted phases as one fraction that never decreases."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from trialrun.events import require_finite
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.event import Event

__all__ = ["PHASES", "TRIALS_SHARE", "OverallProgress", "Progress", "training_progress", "tuning_progress"]

PHASES: Mapping[str, float] = MappingProxyType({"dataset": 20.0, "train": 75.0, "model_upload": 5.0})
TRIALS_SHARE = 0.9
"""The part of `train` that finished trials make up in tuning; choosing the best is the rest."""

_TRIAL_CATEGORIES = frozenset({"train", "trials"})
_JUST_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchor:
    phase: str
    now: float
    overall: float


class Progress:
    """The progress of one job. No fraction ever decreases; `overall` is 1.0 only when every phase is done.

    With `by_trials`, `update_trials` and `complete_train_phase` drive the phase `train`, and the plugin's own reports
    of it are ignored.
    """

    def __init__(self, phases: Mapping[str, float], *, by_trials: bool = False) -> None:
        if not phases or not all(math.isfinite(weight) and weight > 0 for weight in phases.values()):
            raise BadValue("weights must be positive", where="phases", got=repr(dict(phases)))
        self._weights = dict(phases)
        self._by_trials = by_trials
        self._fractions: dict[str, float] = dict.fromkeys(self._weights, 0.0)
        self._anchor: _Anchor | None = None

    @property
    def overall_fraction(self) -> float:
        """The fraction of the whole job, 0..1."""
        if all(self._fractions[phase] == 1.0 for phase in self._weights):
            return 1.0
        # fsum rounds once: a larger fraction never gives a smaller sum
        reached = math.fsum(weight * self._fractions[phase] for phase, weight in self._weights.items())
        return min(reached / math.fsum(self._weights.values()), _JUST_BELOW_ONE)

    @property
    def category_fractions(self) -> dict[str, float]:
        """The fraction of every category, 0..1: the phases, then others in the order of their first report."""
        return dict(self._fractions)

    def update_category(
        self, category: str, current: float, total: float, *, source: Literal["engine", "plugin"] = "engine"
    ) -> float:
        """Set `category` to `current` of `total` (0 of 0 is done), and return the overall fraction.

        Categories that are not a phase have no weight. Raises BadValue when a number is negative or not finite.
        """
        fraction = _compute_fraction(category, current, total)
        if not (source == "plugin" and self._by_trials and category in _TRIAL_CATEGORIES):
            self._raise_to(category, fraction)
        return self.overall_fraction

    def update_trials(self, finished: int, total: int) -> float:
        """Set the number of trials that have ended, successful or not, and return the overall fraction."""
        fraction = _compute_fraction("trials", finished, total)
        self._raise_to("trials", fraction)
        self._raise_to("train", TRIALS_SHARE * fraction)
        return self.overall_fraction

    def complete_train_phase(self) -> float:
        """Complete `train`, since the best trial is chosen, and return the overall fraction."""
        self._raise_to("train", 1.0)
        return self.overall_fraction

    def reset_pace(self, now: float) -> None:
        """Measure the pace of the current phase from now on."""
        phase = next((name for name in self._weights if self._fractions[name] < 1.0), None)
        self._anchor = None if phase is None else _Anchor(phase=phase, now=now, overall=self.overall_fraction)

    def estimate_eta(self, now: float) -> float | None:
        """Return the seconds until the end as of `now` (seconds of a monotonic clock), or None while it is unknown.

        The estimate uses the pace of the current phase since its beginning or the first call in it, so call this at
        every change. At the end it is 0.0.
        """
        overall = self.overall_fraction
        phase = next((name for name in self._weights if self._fractions[name] < 1.0), None)
        if phase is None:
            return 0.0
        if self._anchor is None or self._anchor.phase != phase:
            self._anchor = _Anchor(phase=phase, now=now, overall=overall)
        gained, elapsed = overall - self._anchor.overall, now - self._anchor.now
        if gained <= 0.0 or elapsed <= 0.0:
            return None
        left = elapsed * (1.0 - overall) / gained
        return left if math.isfinite(left) else None

    def _raise_to(self, category: str, fraction: float) -> None:
        self._fractions[category] = max(self._fractions.get(category, 0.0), fraction)


def training_progress() -> Progress:
    """Return the progress of a training job."""
    return Progress(PHASES)


def tuning_progress() -> Progress:
    """Return the progress of a tuning job, whose `train` is driven by its trials."""
    return Progress(PHASES, by_trials=True)


def _compute_fraction(category: str, current: float, total: float) -> float:
    done, whole = (
        require_finite(current, f"progress {category!r} current"),
        require_finite(total, f"progress {category!r} total"),
    )
    if done < 0 or whole < 0:
        raise BadValue("must not be negative", where=f"progress {category!r}", got=f"{done} of {whole}")
    # rounding must not complete a phase early
    return 1.0 if done >= whole else min(done / whole, _JUST_BELOW_ONE)


class OverallProgress:
    """Fills `overall` and `eta_s` into the progress events among all events of a job."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock

    def __call__(self, event: Event, *, of_driver: bool) -> Event:
        if event.kind != "progress":
            return event
        category, current, total = str(event.data["category"]), float(event.data["current"]), float(event.data["total"])
        if not of_driver:
            self._progress.update_category(category, current, total, source="plugin")
        elif category == "trials":
            self._progress.update_trials(int(current), int(total))
            if not current:
                self._progress.reset_pace(self._clock())
        else:
            self._progress.update_category(category, current, total)
        overall, eta = self._progress.overall_fraction, self._progress.estimate_eta(self._clock())
        return replace(event, data={**event.data, "overall": overall, "eta_s": eta})
