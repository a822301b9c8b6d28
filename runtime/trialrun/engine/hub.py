"""Where everything that is reported meets: spools in; report hooks, backend and viewers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.backend.sink import LogSink
from trialrun.backend.spool import SpoolWriter, Tail
from trialrun.plugins import Manager
from trialrun.progress import Progress
from trialrun.reporting import Stamper
from trialrun_hookspecs.event import Event

__all__ = ["Hub", "Viewer"]

Viewer = Callable[[Event], None]

_DRIVER = "driver"


class Hub:
    """One thread follows the spools and hands every event on, in order per trial.

    The driver's own events take the same road, so that what was accepted is on disk before anything else happens.
    """

    def __init__(
        self,
        spool_dir: Path,
        *,
        job_id: int,
        run_key: str,
        progress: Progress,
        manager: Manager,
        sink: LogSink,
        viewers: Sequence[Viewer] = (),
    ) -> None:
        spool_dir.mkdir(parents=True, exist_ok=True)
        self._progress = progress
        self._manager = manager
        self._sink = sink
        self._viewers = list(viewers)
        self._driver_keys = f"{run_key}-{_DRIVER}-"
        self._writer = SpoolWriter(spool_dir / f"{_DRIVER}.0.jsonl")
        self._tail = Tail(spool_dir, self._on_line)
        self.emit = Stamper(self._write, job_id=job_id, trial_id=None, prefix=f"{run_key}-{_DRIVER}")

    def _write(self, line: str) -> None:
        self._writer.write(line)
        self._tail.wake()

    def progress(self, category: str, current: float, total: float) -> None:
        self.emit(events.progress(category, current, total, 0.0, None))

    def message(self, text: str, context: str = "info") -> None:
        self.emit(events.message(text, context))

    def drain(self) -> None:
        """Hand on all that is there now."""
        self._tail.drain()

    def close(self) -> list[str]:
        """Hand on all that is left and stop; says what went wrong on the way."""
        self._tail.stop()
        self._writer.close()
        return [f"{failed.path.name}: {failed.error!r}" for failed in self._tail.errors[:3]]

    def _on_line(self, path: Path, line: str) -> None:
        event = events.from_line(line)
        if event.kind == "progress":
            event = self._with_overall(event)
        self._sink.put(event)
        self._manager.report(event)
        for viewer in self._viewers:
            viewer(event)

    def _with_overall(self, event: Event) -> Event:
        """The whole job's fraction: only the driver knows it."""
        data: Mapping[str, Any] = event.data
        category, current, total = str(data["category"]), float(data["current"]), float(data["total"])
        if not event.key.startswith(self._driver_keys):
            self._progress.set(category, current, total, source="plugin")
        elif category == "trials":
            self._progress.trials(int(current), int(total))
            if not current:
                self._progress.began(time.monotonic())
        else:
            self._progress.set(category, current, total)
        overall, eta = self._progress.overall, self._progress.eta(time.monotonic())
        return replace(event, data={**data, "overall": overall, "eta_s": eta})
