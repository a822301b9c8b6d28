"""Where everything that is reported meets: spools in; report hooks, backend and viewers out."""

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

MAX_WAITING_BYTES = 64 * 2**20  # bytes of lines that the sink holds in memory while its backend is away


class EventBus:
    """One thread follows the spools and hands every event on, in order per trial.

    Of a run that is gone on with, only the backend is told what its spools held before, as far as it has not arrived.
    When more waits for the backend than is good for this process's memory, further events are left on disk for the
    backend's part, and read again once the others have gone.
    The driver's own events take the same road, so that what was accepted is on disk before anything else happens.
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
        most_waiting: int = MAX_WAITING_BYTES,
    ) -> None:
        folder = spools.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._overall = OverallProgress(progress)
        self._manager = manager
        self._sink = sink
        self._viewers = list(viewers)
        self._spooled = spools
        self._most_waiting = most_waiting
        self._weight = 0  # bytes of the lines that the sink was given since nothing waited in it
        before = {path.name: path.read_bytes() for path in folder.glob(layout.SPOOLS)}
        self._handed = Counter({name: content.count(b"\n") for name, content in before.items()})  # lines of each spool
        self._behind = bool(before)  # there may be events that the sink was not given
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
        """Hand on all that is there now."""
        self._tail.drain()

    def close(self, timeout: float = 0.0) -> list[str]:
        """Hand on all that is left and stop; says what went wrong on the way.

        What was left on disk is sent for at most `timeout` seconds; how much of it did not go is said too.
        """
        self._tail.stop()
        self._writer.close()
        end = time.monotonic() + timeout
        while self._behind and self._sink.flush(max(0.0, end - time.monotonic())):
            self._send_backlog()
        wrong = [f"{failed.path.name}: {failed.error!r}" for failed in self._tail.errors[:3]]
        if self._behind:
            left = sum(self._sink.is_due(event) for event, _ in self._spooled.read_events(self._handed))
            wrong.append(f"{left} entries are left on disk, those that wait in memory among them")
        return wrong

    def _on_line(self, path: Path, line: str) -> None:
        self._handed[path.name] += 1
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
        if self._weight > self._most_waiting:
            if self._sink.pending_count:
                self._behind = True
                return
            self._weight = size
        self._sink.put(event)

    def _send_backlog(self) -> None:
        """Give the sink, which is empty, what it was not given, or as much of it as it may hold."""
        self._weight = 0
        for event, size in self._spooled.read_events(self._handed):
            if not self._sink.is_due(event):
                continue
            if self._weight and self._weight + size > self._most_waiting:
                return
            self._weight += size
            self._sink.put(event)
        self._behind = False
