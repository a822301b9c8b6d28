"""The events of a run's spools, merged in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from trialrun import events, progress
from trialrun.progress import OverallProgress
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.event import Event

__all__ = ["MergedSpools"]


class MergedSpools:
    """The spools in `folder`; `by_trials` as in Progress. `unreadable` counts the bad lines of the last reading."""

    def __init__(self, folder: Path, *, by_trials: bool) -> None:
        self.folder = folder
        self._by_trials = by_trials
        self.unreadable = 0

    def __bool__(self) -> bool:
        return bool(self._list_paths())

    def read_events(self, first: Mapping[str, int] | None = None) -> Iterator[tuple[Event, int]]:
        """Yield all events with the bytes of their lines; the events of one spool keep their order.

        `first` maps file names to the number of lines to read; None reads all complete lines.
        """
        self.unreadable = 0
        overall = OverallProgress(progress.tuning_progress() if self._by_trials else progress.training_progress())
        paths = self._list_paths()
        streams = [self._read_spool(path, index, first) for index, path in enumerate(paths)]
        for _, index, event, size in heapq.merge(*streams, key=lambda each: each[:2]):
            yield overall(event, of_driver=layout.is_driver_spool(paths[index].name)), size

    def _list_paths(self) -> list[Path]:
        return sorted(self.folder.glob(layout.SPOOLS))

    def _read_spool(
        self, path: Path, index: int, first: Mapping[str, int] | None
    ) -> Iterator[tuple[str, int, Event, int]]:
        latest = ""
        with path.open("rb") as file:
            lines = (line for line in file if line != b"\n")  # a Tail skips empty lines too
            for line in islice(lines, None if first is None else first.get(path.name, 0)):
                if not line.endswith(b"\n"):
                    return  # torn: its call never returned
                try:
                    event = events.from_line(line.decode(errors="surrogatepass"))
                except (BadValue, UnicodeDecodeError):
                    self.unreadable += 1
                    continue
                latest = max(latest, event.time)
                yield latest, index, event, len(line)
