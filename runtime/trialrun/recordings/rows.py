"""Trials and metric points of a study as plain rows, NaN and infinities as floats."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trialrun.events import flatten_mapping
from trialrun.numbers import is_number
from trialrun.recorder.normalise import to_text
from trialrun.recorder.store import Row
from trialrun.recordings.curves import STEPS
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow

__all__ = ["FACTS", "POINT", "Point", "read_points", "read_trial_points", "trial_columns", "trial_values"]

FACTS = ("trial_id", "number", "status", "started", "ended", "iteration")
"""The first columns of a table of trials; `config/NAME` and `metrics/NAME` follow."""

AT_ONCE = 20_000
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Point(NamedTuple):
    """One value of one metric.

    `trial_id` None is the job itself; `source` is `trial_result` (what tune() reported) or `metric` (what was logged);
    `extra` is what was logged beside the value.
    """

    trial_id: str | None
    source: str
    name: str
    step: int | float | None
    time: str
    value: int | float
    extra: dict[str, Any] | None


POINT = Point._fields


def trial_values(trial: TrialRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hyperparameters and metrics of a trial; what is missing is left out."""

    def fill_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
        made = {
            name: _NONFINITE.get(trial.nonfinite.get(name, "")) if cell is None else cell
            for name, cell in cells.items()
        }
        return {to_text(name): _replace_surrogates(cell) for name, cell in made.items() if cell is not None}

    return fill_cells(trial.hyperparameters), fill_cells(trial.metrics)


def trial_columns(trials: Sequence[TrialRow]) -> dict[str, list[Any]]:
    """A list of cells for each column, None where a trial has none."""
    facts = ("trial", "number", "status", "started", "ended", "iteration")
    made: dict[str, list[Any]] = {
        name: [_replace_surrogates(getattr(trial, fact)) for trial in trials]
        for name, fact in zip(FACTS, facts, strict=True)
    }
    both = [trial_values(trial) for trial in trials]
    for part, cells in (("config", [one for one, _ in both]), ("metrics", [other for _, other in both])):
        names = dict.fromkeys(name for row in cells for name in row)
        made.update({f"{part}/{name}": [row.get(name) for row in cells] for name in names})
    return made


def read_points(study: Study) -> Iterator[Point]:
    """Every metric point in the order of arrival."""
    return _query_points(study, "NOT INDEXED", "")


def read_trial_points(study: Study, trial: str | None) -> Iterator[Point]:
    """The metric points of one trial, or with None of the job itself, in the order of arrival."""
    return _query_points(study, "INDEXED BY entries_trial", "AND trial_id IS ?4", trial)


def _query_points(study: Study, by: str, more: str, *values: str | None) -> Iterator[Point]:
    last = 0
    query = (
        f"SELECT id, trial_id, event, time, data, extra FROM entries {by} WHERE id > ?1 AND job = ?2"  # noqa: S608
        f" AND event IN ('trial_result', 'metric') {more} ORDER BY id LIMIT ?3"
    )
    while rows := study.recording.store.fetch_all(query, (last, study.job, AT_ONCE, *values)):
        last = rows[-1]["id"]
        for row in rows:
            yield from _parse_points(row)


def _parse_points(row: Row) -> Iterable[Point]:
    data = json.loads(row["data"])
    if not isinstance(data, dict):
        return ()
    return _parse_trial_result(row, data) if row["event"] == "trial_result" else _parse_metric(row, data)


def _parse_trial_result(row: Row, data: Mapping[str, Any]) -> Iterator[Point]:
    metrics = data.get("metrics")
    flat = metrics if isinstance(metrics, dict) else {}
    if any(isinstance(cell, dict) for cell in flat.values()):
        flat = flatten_mapping(flat)
    words = data.get("nonfinite")
    words = words if isinstance(words, dict) else {}
    step = data.get("iteration")
    for name, cell in flat.items():
        value: Any = _NONFINITE.get(words.get(name, ""), math.nan) if cell is None and name in words else cell
        if is_number(value):
            yield Point(
                row["trial_id"],
                row["event"],
                to_text(name),
                step if is_number(step) else None,
                row["time"],
                value,
                None,
            )


def _parse_metric(row: Row, data: Mapping[str, Any]) -> Iterator[Point]:
    value: Any = data.get("value")
    if not is_number(value):
        return
    beside = data.get("metrics")
    beside = beside if isinstance(beside, dict) else {}
    sent = json.loads(row["extra"]).get("step") if row["extra"] else None
    step: Any = next((n for n in (sent, *(beside.get(name) for name in STEPS)) if is_number(n)), None)
    parts = [data.get("category"), data.get("key")]
    name = "/".join(to_text(part) for part in parts if part is not None)
    yield Point(row["trial_id"], row["event"], name, step, row["time"], value, _replace_surrogates(beside) or None)


def _replace_surrogates(value: Any) -> Any:
    """What JSON can carry and UTF-8 cannot (half surrogates) is replaced, wherever it stands."""
    if isinstance(value, str):
        return to_text(value)
    if isinstance(value, dict):
        return {to_text(name): _replace_surrogates(cell) for name, cell in value.items()}
    return [_replace_surrogates(cell) for cell in value] if isinstance(value, list) else value
