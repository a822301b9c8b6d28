"""Metric points of a recording: one value of one metric, parsed from a log entry."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from trialrun.events import flatten_mapping
from trialrun.numbers import is_number
from trialrun.recorder.normalise import to_text
from trialrun.recorder.store import Row

__all__ = ["NONFINITE", "POINT", "Point", "parse_points", "replace_surrogates", "to_timestamp"]

NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_STEPS = ("step", "global_step", "epoch", "iteration", "training_iteration", "batch")


class Point(NamedTuple):
    """One value of one metric.

    `trial_id` None is the job itself; `source` is `trial_result` (reported by tune()) or `metric` (logged); `extra` is
    what was logged beside the value.
    """

    trial_id: str | None
    source: str
    name: str
    step: int | float | None
    time: str
    value: int | float
    extra: dict[str, Any] | None


POINT = Point._fields


def parse_points(row: Row) -> Iterable[Point]:
    """Return the points of a `trial_result` or `metric` entry; NaN and infinities are floats."""
    data = json.loads(row["data"])
    if not isinstance(data, dict):
        return ()
    return _parse_trial_result(row, data) if row["event"] == "trial_result" else _parse_metric(row, data)


def _parse_trial_result(row: Row, data: Mapping[str, Any]) -> Iterator[Point]:
    metrics = data.get("metrics")
    flat = metrics if isinstance(metrics, dict) else {}
    if any(isinstance(cell, dict) for cell in flat.values()):
        flat = flatten_mapping(flat)
    flags = data.get("nonfinite")
    flags = flags if isinstance(flags, dict) else {}
    sent = data.get("iteration")
    step = sent if is_number(sent) else None
    trial, event, time = row["trial_id"], row["event"], row["time"]
    for name, cell in flat.items():
        value: Any = NONFINITE.get(flags.get(name, ""), math.nan) if cell is None and name in flags else cell
        if is_number(value):
            yield Point(trial, event, to_text(name), step, time, value, None)


def _parse_metric(row: Row, data: Mapping[str, Any]) -> Iterator[Point]:
    value: Any = data.get("value")
    if not is_number(value):
        return
    beside = data.get("metrics")
    beside = beside if isinstance(beside, dict) else {}
    sent = json.loads(row["extra"]).get("step") if row["extra"] else None
    step: Any = next((n for n in (sent, *(beside.get(name) for name in _STEPS)) if is_number(n)), None)
    parts = [data.get("category"), data.get("key")]
    name = "/".join(to_text(part) for part in parts if part is not None)
    yield Point(row["trial_id"], row["event"], name, step, row["time"], value, replace_surrogates(beside) or None)


def replace_surrogates(value: Any) -> Any:
    """Return `value` with each half surrogate replaced: JSON can carry them, UTF-8 cannot."""
    if isinstance(value, str):
        return to_text(value)
    if isinstance(value, dict):
        return {to_text(name): replace_surrogates(cell) for name, cell in value.items()}
    return [replace_surrogates(cell) for cell in value] if isinstance(value, list) else value


def to_timestamp(time: str) -> float:
    """Return an ISO 8601 time as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()
