"""The whole job's fraction, which only the driver knows, put into each progress event."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from trialrun.progress import Progress
from trialrun_hookspecs.event import Event

__all__ = ["Overall"]


class Overall:
    """Takes in every event in turn, and gives those of progress back with `overall` and `eta_s`."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock

    def __call__(self, event: Event, *, of_driver: bool) -> Event:
        if event.kind != "progress":
            return event
        category, current, total = str(event.data["category"]), float(event.data["current"]), float(event.data["total"])
        if not of_driver:
            self._progress.set(category, current, total, source="plugin")
        elif category == "trials":
            self._progress.trials(int(current), int(total))
            if not current:
                self._progress.began(self._clock())
        else:
            self._progress.set(category, current, total)
        overall, eta = self._progress.overall, self._progress.eta(self._clock())
        return replace(event, data={**event.data, "overall": overall, "eta_s": eta})
