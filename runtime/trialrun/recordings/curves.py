"""Curves of metrics over steps and time, thinned to as many points as a plot needs."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from trialrun.numbers import is_finite_number
from trialrun.recorder.store import Store
from trialrun.recordings.points import parse_points, to_timestamp

__all__ = ["Curves", "Line", "downsample_indices"]

MOST_KEPT = 4_000_000  # points in memory, of all jobs together
BATCH_SIZE = 50_000
MAX_NAME = 500  # characters of a logged metric's name, as the index keeps it


@dataclass(slots=True)
class Line:
    """One metric of one trial: step, seconds since 1970 and value of each point, in the order of arrival."""

    steps: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class _Track:
    last_id: int = 0
    point_count: int = 0
    resume_count: int = 0
    lines: dict[str, Line] = field(default_factory=dict)


def downsample_indices(values: Sequence[float], most: int) -> list[int]:
    """Return the places of about `most` points to draw: the first, the last, and the extremes of each stretch."""
    count = len(values)
    if count <= most or count < 3:
        return list(range(count))
    stretches = max((most - 2) // 2, 1)
    kept = {0, count - 1}
    for number in range(stretches):
        stretch = range(number * count // stretches, (number + 1) * count // stretches)
        kept.add(min(stretch, key=values.__getitem__))
        kept.add(max(stretch, key=values.__getitem__))
    return sorted(kept)


class Curves:
    """Curves of one recording. Each point is read once and kept as numbers; the least recently used go first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tracks: OrderedDict[tuple[int, str | None, str], _Track] = OrderedDict()
        self._lock = threading.Lock()

    def load_line(self, job: int, trial: str | None, event: str, name: str) -> Line:
        """Return the whole line. `event` is `trial_result` or `metric`; `trial` None is the job itself."""
        with self._lock:
            key = (job, trial, event)
            resumes = self._count_resumes(job, trial)
            if key in self._tracks and self._tracks[key].resume_count != resumes:
                del self._tracks[key]  # the trial resumed and has repeated some of its points
            track = self._tracks.setdefault(key, _Track(resume_count=resumes))
            self._tracks.move_to_end(key)
            self._read_new_points(track, key)
            self._evict_tracks()
            return track.lines.get(name, Line())

    def _read_new_points(self, track: _Track, key: tuple[int, str | None, str]) -> None:
        while True:
            rows = self._store.fetch_all(
                "SELECT id, trial_id, event, time, data, extra FROM entries INDEXED BY entries_trial"
                " WHERE job = ? AND trial_id IS ? AND event = ? AND id > ? ORDER BY id LIMIT ?",
                (*key, track.last_id, BATCH_SIZE),
            )
            for row in rows:
                track.last_id = row["id"]
                event, time = row["event"], to_timestamp(row["time"])
                for point in parse_points(row):
                    if not is_finite_number(point.value):
                        continue
                    line = track.lines.setdefault(point.name[:MAX_NAME] if event == "metric" else point.name, Line())
                    step = point.step if is_finite_number(point.step) else len(line.values) + 1
                    line.steps.append(float(step))
                    line.times.append(time)
                    line.values.append(float(point.value))
                    track.point_count += 1
            if len(rows) < BATCH_SIZE:
                return

    def _count_resumes(self, job: int, trial: str | None) -> int:
        """Return how often the trial has resumed from a checkpoint."""
        (row,) = self._store.fetch_all(
            "SELECT count(*) AS n FROM entries WHERE job = ? AND trial_id IS ?"
            " AND event IN ('resumed', 'superseded:resumed')",
            (job, trial),
        )
        return int(row["n"])

    def _evict_tracks(self) -> None:
        while len(self._tracks) > 1 and sum(track.point_count for track in self._tracks.values()) > MOST_KEPT:
            self._tracks.popitem(last=False)
