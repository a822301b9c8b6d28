"""Trials and metric points of a study as plain rows, with NaN and infinities as floats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trialrun.recorder.normalise import to_text
from trialrun.recordings.points import NONFINITE, Point, parse_points, replace_surrogates
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow

__all__ = ["FACTS", "read_points", "read_trial_points", "trial_columns", "trial_values"]

FACTS = ("trial_id", "number", "status", "started", "ended", "iteration")
"""The first columns of a table of trials; `config/NAME` and `metrics/NAME` follow."""

BATCH_SIZE = 20_000


def trial_values(trial: TrialRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the hyperparameters and the metrics of a trial, without missing cells."""

    def fill_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
        filled = {
            name: NONFINITE.get(trial.nonfinite.get(name, "")) if cell is None else cell for name, cell in cells.items()
        }
        return {to_text(name): replace_surrogates(cell) for name, cell in filled.items() if cell is not None}

    return fill_cells(trial.hyperparameters), fill_cells(trial.metrics)


def trial_columns(trials: Sequence[TrialRow]) -> dict[str, list[Any]]:
    """Return a list of cells for each column, None where a trial has none."""
    facts = ("trial", "number", "status", "started", "ended", "iteration")
    table: dict[str, list[Any]] = {
        name: [replace_surrogates(getattr(trial, fact)) for trial in trials]
        for name, fact in zip(FACTS, facts, strict=True)
    }
    both = [trial_values(trial) for trial in trials]
    for part, cells in (("config", [one for one, _ in both]), ("metrics", [other for _, other in both])):
        names = dict.fromkeys(name for row in cells for name in row)
        table.update({f"{part}/{name}": [row.get(name) for row in cells] for name in names})
    return table


def read_points(study: Study) -> Iterator[Point]:
    """Yield every metric point in the order of arrival."""
    return _query_points(study, "NOT INDEXED", "")


def read_trial_points(study: Study, trial: str | None) -> Iterator[Point]:
    """Yield the metric points of one trial, or with None of the job itself, in the order of arrival."""
    return _query_points(study, "INDEXED BY entries_trial", "AND trial_id IS ?4", trial)


def _query_points(study: Study, hint: str, condition: str, *values: str | None) -> Iterator[Point]:
    last = 0
    query = (
        f"SELECT id, trial_id, event, time, data, extra FROM entries {hint} WHERE id > ?1 AND job = ?2"  # noqa: S608
        f" AND event IN ('trial_result', 'metric') {condition} ORDER BY id LIMIT ?3"
    )
    while rows := study.recording.store.fetch_all(query, (last, study.job, BATCH_SIZE, *values)):
        last = rows[-1]["id"]
        for row in rows:
            yield from parse_points(row)
