"""The board: the trials of one job in memory, paged, sorted and filtered."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialrun.numbers import is_number
from trialrun.recorder.store import Row, Store

__all__ = ["OPERATORS", "Condition", "TrialIndex", "TrialRow", "sort_key"]

BASE = ("trial", "number", "version", "status", "started", "ended", "updated", "iteration")
MOST_COLUMNS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial's newest row. `metrics` are all that are known; times are ISO 8601 in UTC."""

    trial: str
    number: int
    version: int
    status: str | None
    started: str | None
    ended: str | None
    updated: str
    iteration: int | None
    hyperparameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    nonfinite: Mapping[str, str]


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda cell, value: cell < value,
    "<=": lambda cell, value: cell <= value,
    ">": lambda cell, value: cell > value,
    ">=": lambda cell, value: cell >= value,
    "=": lambda cell, value: cell == value,
    "!=": lambda cell, value: cell != value,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A cell compared with a value: as numbers when both are, else as text. An empty cell fits no condition."""

    column: str
    operator: str
    value: Any

    def matches(self, trial: TrialRow) -> bool:
        cell = get_cell(trial, self.column)
        if cell is None:
            return False
        if not (is_number(cell) and is_number(self.value)):
            cell, value = _to_text(cell), _to_text(self.value)
            return OPERATORS[self.operator](cell, value)
        return OPERATORS[self.operator](cell, self.value)


def get_cell(trial: TrialRow, column: str) -> Any:
    """`m:NAME` is a metric, `h:NAME` a hyperparameter; other names are the trial's own facts."""
    kind, colon, name = column.partition(":")
    if colon and kind in ("m", "h"):
        return (trial.metrics if kind == "m" else trial.hyperparameters).get(name)
    return getattr(trial, column) if column in BASE else None


def sort_key(cell: Any) -> tuple[int, float, str]:
    """Numbers before text."""
    if is_number(cell) and not math.isnan(cell):
        return (0, float(cell), "")
    return (1, 0.0, _to_text(cell))


class TrialIndex:
    """Follows one job's trials: each call takes in what changed since the last."""

    def __init__(self, store: Store, job: int) -> None:
        self._store = store
        self._job = job
        self._trials: dict[str, TrialRow] = {}
        self._hyperparameters: dict[str, None] = {}
        self._shown: dict[str, None] = {}
        self._metrics: dict[str, None] = {}
        self._lock = threading.Lock()
        self.version = 0

    def refresh(self) -> None:
        with self._lock:
            query = "SELECT * FROM trials WHERE job = ? AND version > ? ORDER BY version"
            self._add_rows(self._store.fetch_all(query, (self._job, self.version)))

    @classmethod
    def load_excerpt(cls, store: Store, job: int, offset: int, limit: int) -> tuple[int, TrialIndex]:
        """How many trials there are, and a board of some of them, in the order of first sight: cheap at any size."""
        board = cls(store, job)
        query = "SELECT * FROM trials WHERE job = ? ORDER BY number LIMIT ? OFFSET ?"
        board._add_rows(store.fetch_all(query, (job, limit, offset)))
        total = store.fetch_all("SELECT count(*) AS n FROM trials WHERE job = ?", (job,))[0]["n"]
        return total, board

    def _add_rows(self, rows: Iterable[Row]) -> None:
        for row in rows:
            cells = json.loads(row["cells"])
            self._add_columns(cells)
            self._trials[row["trial"]] = build_trial(row, cells)
            self.version = max(self.version, row["version"])

    def _add_columns(self, cells: Mapping[str, Any]) -> None:
        for names, seen in (
            (cells.get("hyperparameters", ()), self._hyperparameters),
            (cells.get("metrics", ()), self._shown),
            (cells.get("all_metrics", ()), self._metrics),
        ):
            if len(seen) < MOST_COLUMNS:
                seen.update(dict.fromkeys(names))

    @property
    def columns(self) -> dict[str, list[str]]:
        """`metrics` are the table's own first; `shown` says how many these are."""
        metrics = list({**self._shown, **self._metrics})
        return {"hyperparameters": list(self._hyperparameters), "metrics": metrics, "shown": list(self._shown)}

    def all_trials(self) -> list[TrialRow]:
        """All of them, in the order of first sight."""
        with self._lock:
            return sorted(self._trials.values(), key=lambda trial: trial.number)

    def find_trial(self, trial_id: str) -> TrialRow | None:
        return self._trials.get(trial_id)

    def select_page(
        self,
        *,
        sort: str = "number",
        descending: bool = False,
        statuses: Sequence[str] = (),
        where: Sequence[Condition] = (),
        offset: int = 0,
        limit: int = 200,
    ) -> tuple[int, list[TrialRow]]:
        """How many fit, and those from `offset` on. Trials without a cell in the sorted column come last."""
        fitting = [
            trial
            for trial in self.all_trials()
            if (not statuses or (trial.status or "") in statuses)
            and all(condition.matches(trial) for condition in where)
        ]
        if sort != "number" or descending:
            filled = [trial for trial in fitting if get_cell(trial, sort) is not None]
            filled.sort(key=lambda trial: sort_key(get_cell(trial, sort)), reverse=descending)
            fitting = [*filled, *(trial for trial in fitting if get_cell(trial, sort) is None)]
        return len(fitting), fitting[offset : offset + limit]


def build_trial(row: Row, cells: Mapping[str, Any]) -> TrialRow:
    return TrialRow(
        **{name: row[name] for name in BASE},
        hyperparameters=cells.get("hyperparameters", {}),
        metrics=cells.get("all_metrics", {}),
        nonfinite=cells.get("nonfinite", {}),
    )


def tabulate_trials(
    trials: Iterable[TrialRow], hyperparameters: Sequence[str], metrics: Sequence[str]
) -> list[list[Any]]:
    """Each trial as a list: the facts of BASE, hyperparameters, metrics, and the flags of what is not finite."""
    return [
        [
            *(getattr(trial, name) for name in BASE),
            [trial.hyperparameters.get(name) for name in hyperparameters],
            [trial.metrics.get(name) for name in metrics],
            dict(trial.nonfinite) or None,
        ]
        for trial in trials
    ]


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
