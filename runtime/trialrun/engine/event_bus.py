"""The event bus of a run: it reads the spools and passes each event to report hooks, backend and viewers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from trialrun import events
from trialrun.backend.sink import LogSink
from trialrun.job_run import EventEmitter
from trialrun.plugins import Manager
from trialrun.progress import OverallProgress, Progress
from trialrun.run_dir import layout
from trialrun.run_dir.spool import SpoolWriter, Tail
from trialrun.run_dir.spool_reader import MergedSpools
from trialrun_hookspecs.event import Event

__all__ = ["EventBus", "Viewer"]

Viewer = Callable[[Event], None]

MAX_WAITING_BYTES = 64 * 2**20  # bytes of lines that the sink holds in memory while its backend is unavailable


class EventBus:
    """Follows the spools in one thread and passes every event on, in order per trial.

    When a run is resumed, only the backend gets the events that its spools already held, unless they have arrived.
    When more than `max_waiting` bytes wait for the backend, further events for it stay on disk and are read again once
    the waiting ones have been sent. The driver's own events go through a spool too, so that every accepted event is on
    disk before anything else happens.
    """

    def __init__(
        self,
        spools: MergedSpools,
        *,
        job_id: int,
        run_key: str,
        progress: Progress,
        manager: Manager,
        sink: LogSink,
        viewers: Sequence[Viewer] = (),
        max_waiting: int = MAX_WAITING_BYTES,
    ) -> None:
        folder = spools.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._overall = OverallProgress(progress)
        self._manager = manager
        self._sink = sink
        self._viewers = list(viewers)
        self._spools = spools
        self._max_waiting = max_waiting
        self._weight = 0  # bytes of the lines given to the sink since it was last empty
        before = {path.name: path.read_bytes() for path in folder.glob(layout.SPOOLS)}
        # how many lines of each spool were passed on
        self._lines_read = Counter({name: content.count(b"\n") for name, content in before.items()})
        self._behind = bool(before)  # events may be on disk that the sink was not given
        run = sum(map(layout.is_driver_spool, before))
        self._writer = SpoolWriter(folder / layout.spool_name(layout.DRIVER, run))
        self._tail = Tail(folder, self._on_line, offsets={name: len(content) for name, content in before.items()})
        self.emit = EventEmitter(self._write_line, job_id=job_id, trial_id=None, prefix=f"{run_key}-driver{run or ''}")

    def _write_line(self, line: str) -> None:
        self._writer.write(line)
        self._tail.wake()

    def emit_progress(self, category: str, current: float, total: float) -> None:
        self.emit(events.progress_event(category, current, total, 0.0, None))

    def emit_message(self, text: str, context: str = "info") -> None:
        self.emit(events.message_event(text, context))

    def drain(self) -> None:
        """Pass on every event that is in the spools now."""
        self._tail.drain()

    def close(self, timeout: float = 0.0) -> list[str]:
        """Pass on all remaining events, stop, and return descriptions of what went wrong.

        Events that stayed on disk are sent for at most `timeout` seconds; the number of unsent ones is described too.
        """
        self._tail.stop()
        self._writer.close()
        end = time.monotonic() + timeout
        while self._behind and self._sink.flush(max(0.0, end - time.monotonic())):
            self._send_backlog()
        problems = [f"{failed.path.name}: {failed.error!r}" for failed in self._tail.errors[:3]]
        if self._behind:
            left = sum(self._sink.is_due(event) for event, _ in self._spools.read_events(self._lines_read))
            problems.append(f"{left} entries stayed on disk, including those that wait in memory")
        return problems

    def _on_line(self, path: Path, line: str) -> None:
        self._lines_read[path.name] += 1
        event = self._overall(events.from_line(line), of_driver=layout.is_driver_spool(path.name))
        self._send_to_sink(event, len(line))
        self._manager.report(event)
        for viewer in self._viewers:
            viewer(event)

    def _send_to_sink(self, event: Event, size: int) -> None:
        if self._behind:
            if not self._sink.pending_count:
                self._send_backlog()
            return
        self._weight += size
        if self._weight > self._max_waiting:
            if self._sink.pending_count:
                self._behind = True
                return
            self._weight = size
        self._sink.put(event)

    def _send_backlog(self) -> None:
        """Give the empty sink the events that stayed on disk, as many as it may hold."""
        self._weight = 0
        for event, size in self._spools.read_events(self._lines_read):
            if not self._sink.is_due(event):
                continue
            if self._weight and self._weight + size > self._max_waiting:
                return
            self._weight += size
            self._sink.put(event)
        self._behind = False
