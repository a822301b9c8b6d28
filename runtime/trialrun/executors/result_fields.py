"""The fields that Tune adds to every result, for executors without Tune."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

__all__ = ["TrialClock"]


class TrialClock:
    """Builds the fields of one trial's results that it does not report itself: numbers, times, host.

    For a resumed trial, times count from its resumption, as `iterations_since_restore` does.
    """

    def __init__(self, trial_id: str, clock: Callable[[], float] = time.time) -> None:
        self._trial_id = trial_id
        self._clock = clock
        self._start = self._last = clock()
        self._reports = 0
        self._timesteps = 0
        self._episodes = 0

    def build_fields(self, iteration: int, reported: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields to add to report number `iteration`."""
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
        """Return the totals of steps and episodes, if the plugin reports those of each iteration."""
        totals = {}
        if isinstance(steps := reported.get("timesteps_this_iter"), int):
            self._timesteps += steps
            totals["timesteps_total"] = self._timesteps
        if isinstance(episodes := reported.get("episodes_this_iter"), int):
            self._episodes += episodes
            totals["episodes_total"] = self._episodes
        return totals
