"""What Tune fills into every result by itself, for executors without Tune."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

__all__ = ["TrialClock"]


class TrialClock:
    """One trial's results, as far as nobody reports them: numbers, times, and where it runs.

    Times of a trial that goes on count from where it goes on, as `iterations_since_restore` does.
    """

    def __init__(self, trial_id: str, clock: Callable[[], float] = time.time) -> None:
        self._trial_id = trial_id
        self._clock = clock
        self._start = self._last = clock()
        self._reports = 0
        self._timesteps = 0
        self._episodes = 0

    def build_fields(self, iteration: int, reported: Mapping[str, Any]) -> dict[str, Any]:
        """What is filled into report number `iteration`."""
        now = self._clock()
        this, self._last = now - self._last, now
        self._reports += 1
        return {
            "training_iteration": iteration,
            "iterations_since_restore": self._reports,
            "time_this_iter_s": this,
            "time_since_restore": now - self._start,
            "time_total_s": now - self._start,
            "timestamp": int(now),
            "date": datetime.fromtimestamp(now).strftime("%Y-%m-%d_%H-%M-%S"),  # noqa: DTZ006  # local, as Tune's
            "done": False,
            "trial_id": self._trial_id,
            "experiment_tag": self._trial_id,
            "hostname": platform.node(),
            "node_ip": "127.0.0.1",
            "pid": os.getpid(),
            **self._count_totals(reported),
        }

    def _count_totals(self, reported: Mapping[str, Any]) -> dict[str, int]:
        """Totals of what the plugin counts per report, where it does."""
        totals = {}
        if isinstance(steps := reported.get("timesteps_this_iter"), int):
            self._timesteps += steps
            totals["timesteps_total"] = self._timesteps
        if isinstance(episodes := reported.get("episodes_this_iter"), int):
            self._episodes += episodes
            totals["episodes_total"] = self._episodes
        return totals
