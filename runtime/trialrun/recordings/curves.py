"""Curves: what a metric did over steps and time, few enough points to draw."""

from __future__ import annotations

import json
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trialrun.events import flatten_mapping
from trialrun.numbers import is_finite_number
from trialrun.recorder.store import Row, Store

__all__ = ["Curves", "Line", "downsample_indices"]

MOST_KEPT = 4_000_000  # points in memory, for all jobs together
BATCH_SIZE = 50_000
STEPS = ("step", "global_step", "epoch", "iteration", "training_iteration", "batch")


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
    """Which points to draw: about `most`: the first, the last, and of each stretch the lowest and the highest."""
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
    """Reads each point once and keeps it as numbers; the least asked for go first when there are too many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tracks: OrderedDict[tuple[int, str | None, str], _Track] = OrderedDict()
        self._lock = threading.Lock()

    def load_line(self, job: int, trial: str | None, event: str, name: str) -> Line:
        """The whole line; `event` is `trial_result` or `metric`. `trial` None is the job itself."""
        with self._lock:
            key = (job, trial, event)
            again = self._count_resumes(job, trial)
            if key in self._tracks and self._tracks[key].resume_count != again:
                del self._tracks[key]  # some of its points were made again
            track = self._tracks.setdefault(key, _Track(resume_count=again))
            self._tracks.move_to_end(key)
            self._read_new_points(track, key)
            self._evict_tracks()
            return track.lines.get(name, Line())

    def _read_new_points(self, track: _Track, key: tuple[int, str | None, str]) -> None:
        while True:
            rows = self._store.fetch_all(
                "SELECT id, time, data, extra FROM entries INDEXED BY entries_trial"
                " WHERE job = ? AND trial_id IS ? AND event = ? AND id > ? ORDER BY id LIMIT ?",
                (*key, track.last_id, BATCH_SIZE),
            )
            for row in rows:
                track.last_id = row["id"]
                for name, step, value in _parse_points(row, key[2]):
                    line = track.lines.setdefault(name, Line())
                    line.steps.append(len(line.values) + 1.0 if step is None else step)
                    line.times.append(_to_timestamp(row["time"]))
                    line.values.append(value)
                    track.point_count += 1
            if len(rows) < BATCH_SIZE:
                return

    def _count_resumes(self, job: int, trial: str | None) -> int:
        """How often the trial has gone on from a checkpoint."""
        (row,) = self._store.fetch_all(
            "SELECT count(*) AS times FROM entries WHERE job = ? AND trial_id IS ?"
            " AND event IN ('resumed', 'superseded:resumed')",
            (job, trial),
        )
        return int(row["times"])

    def _evict_tracks(self) -> None:
        while len(self._tracks) > 1 and sum(track.point_count for track in self._tracks.values()) > MOST_KEPT:
            self._tracks.popitem(last=False)


def _parse_points(row: Row, event: str) -> Iterator[tuple[str, float | None, float]]:
    data = json.loads(row["data"])
    if not isinstance(data, dict):
        return
    metrics = data.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    if event == "trial_result":
        step = _parse_number(data.get("iteration"))
        flat = flatten_mapping(metrics) if any(isinstance(value, dict) for value in metrics.values()) else metrics
        for name, cell in flat.items():
            value = _parse_number(cell)
            if value is not None:
                yield name, step, value
        return
    value = _parse_number(data.get("value"))
    if value is not None:
        parts = [data.get("category"), data.get("key")]
        name = "/".join(part if isinstance(part, str) else json.dumps(part) for part in parts if part is not None)
        yield name[:500], _find_step(metrics, row["extra"]), value


def _find_step(metrics: Mapping[str, Any], extra: str | None) -> float | None:
    sent = json.loads(extra).get("step") if extra else None
    return next((n for n in map(_parse_number, (sent, *(metrics.get(name) for name in STEPS))) if n is not None), None)


def _parse_number(value: Any) -> float | None:
    return float(value) if is_finite_number(value) else None


def _to_timestamp(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
