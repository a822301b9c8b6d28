"""Where everything that is reported meets: spools in; report hooks, backend and viewers out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trialrun import events
from trialrun.backend.sink import LogSink
from trialrun.backend.spool import SPOOL_LIMIT, SpoolWriter, Tail
from trialrun.engine.overall import Overall
from trialrun.plugins import Manager
from trialrun.progress import Progress
from trialrun.reporting import Stamper
from trialrun_hookspecs.event import Event

__all__ = ["DRIVER_FILES", "Hub", "Viewer"]

Viewer = Callable[[Event], None]

DRIVER_FILES = "driver."
"""How the names of the driver's spools begin."""


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
        spool_limit: int | None = SPOOL_LIMIT,
    ) -> None:
        spool_dir.mkdir(parents=True, exist_ok=True)
        self._overall = Overall(progress)
        self._manager = manager
        self._sink = sink
        self._viewers = list(viewers)
        before = {path.name: path.stat().st_size for path in spool_dir.glob("*.jsonl")}
        run = sum(name.startswith(DRIVER_FILES) for name in before)  # what earlier runs left is sent by flush()
        self._writer = SpoolWriter(spool_dir / f"{DRIVER_FILES}{run}.jsonl", spool_limit)
        self._tail = Tail(spool_dir, self._on_line, offsets=before)
        prefix = f"{run_key}-driver{run or ''}"
        self.emit = Stamper(self._write, job_id=job_id, trial_id=None, prefix=prefix)

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
        event = self._overall(events.from_line(line), of_driver=path.name.startswith(DRIVER_FILES))
        self._sink.put(event)
        self._manager.report(event)
        for viewer in self._viewers:
            viewer(event)
