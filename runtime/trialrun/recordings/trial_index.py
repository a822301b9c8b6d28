"""The trial index: the trials of one job in memory, paged, sorted and filtered."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from trialrun.numbers import is_number
from trialrun.recorder.store import Row, Store

__all__ = ["OPERATORS", "Condition", "TrialIndex", "TrialRow", "sort_key"]

BASE = ("trial", "number", "version", "status", "started", "ended", "updated", "iteration")
MOST_COLUMNS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """The newest row of a trial, with all its metrics; times are ISO 8601 in UTC."""

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
    """A cell compared with a value: as numbers when both are, else as text. An empty cell matches no condition."""

    column: str
    operator: str
    value: Any

    def matches(self, trial: TrialRow) -> bool:
        cell = get_cell(trial, self.column)
        if cell is None:
            return False
        compare = OPERATORS[self.operator]
        if is_number(cell) and is_number(self.value):
            return compare(cell, self.value)
        return compare(_to_text(cell), _to_text(self.value))


def get_cell(trial: TrialRow, column: str) -> Any:
    """Return a cell: `m:NAME` is a metric, `h:NAME` a hyperparameter, other names are facts of the trial."""
    kind, colon, name = column.partition(":")
    if colon and kind in ("m", "h"):
        return (trial.metrics if kind == "m" else trial.hyperparameters).get(name)
    return getattr(trial, column) if column in BASE else None


def sort_key(cell: Any) -> tuple[int, float, str]:
    """Return a key that sorts numbers before text."""
    if is_number(cell) and not math.isnan(cell):
        return (0, float(cell), "")
    return (1, 0.0, _to_text(cell))


class TrialIndex:
    """The trials of one job. Safe for concurrent threads."""

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
        """Read the rows that changed since the last call."""
        with self._lock:
            query = "SELECT * FROM trials WHERE job = ? AND version > ? ORDER BY version"
            self.add_rows(self._store.fetch_all(query, (self._job, self.version)))

    @classmethod
    def load_page(cls, store: Store, job: int, offset: int, limit: int) -> TrialIndex:
        """Return an index of some trials only, in the order of their numbers: cheap for any number of trials."""
        query = "SELECT * FROM trials WHERE job = ? ORDER BY number LIMIT ? OFFSET ?"
        return cls(store, job).add_rows(store.fetch_all(query, (job, limit, offset)))

    @classmethod
    def load_changes(cls, store: Store, job: int, version: int, limit: int) -> TrialIndex:
        """Return an index of the trials that changed after `version`, those of the lowest versions first."""
        query = "SELECT * FROM trials WHERE job = ? AND version > ? ORDER BY version LIMIT ?"
        return cls(store, job).add_rows(store.fetch_all(query, (job, version, limit)))

    def add_rows(self, rows: Iterable[Row]) -> Self:
        """Add rows of the table `trials`, each in place of an older one of its trial."""
        for row in rows:
            cells = json.loads(row["cells"])
            self._add_columns(cells)
            self._trials[row["trial"]] = _build_trial(row, cells)
            self.version = max(self.version, row["version"])
        return self

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
        """`hyperparameters`, `metrics` (those of the trial table first) and `shown` (the latter alone)."""
        metrics = list({**self._shown, **self._metrics})
        return {"hyperparameters": list(self._hyperparameters), "metrics": metrics, "shown": list(self._shown)}

    def all_trials(self) -> list[TrialRow]:
        """Return all trials in the order in which they first appeared."""
        with self._lock:
            return sorted(self._trials.values(), key=lambda trial: trial.number)

    def find_trial(self, trial_id: str) -> TrialRow | None:
        return self._trials.get(trial_id)

    def build_table(self, trials: Iterable[TrialRow]) -> dict[str, Any]:
        """Return `columns` and `rows`: the facts of BASE, hyperparameters, metrics, names of non-finite cells."""
        columns = self.columns
        rows = [
            [
                *(getattr(trial, name) for name in BASE),
                [trial.hyperparameters.get(name) for name in columns["hyperparameters"]],
                [trial.metrics.get(name) for name in columns["metrics"]],
                dict(trial.nonfinite) or None,
            ]
            for trial in trials
        ]
        return {"columns": {"base": list(BASE), **columns}, "rows": rows}

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
        """Return how many trials match, and a page of them; trials without a cell in the sorted column come last."""
        matching = [
            trial
            for trial in self.all_trials()
            if (not statuses or (trial.status or "") in statuses)
            and all(condition.matches(trial) for condition in where)
        ]
        if sort != "number" or descending:
            filled = [trial for trial in matching if get_cell(trial, sort) is not None]
            filled.sort(key=lambda trial: sort_key(get_cell(trial, sort)), reverse=descending)
            matching = [*filled, *(trial for trial in matching if get_cell(trial, sort) is None)]
        return len(matching), matching[offset : offset + limit]


def _build_trial(row: Row, cells: Mapping[str, Any]) -> TrialRow:
    return TrialRow(
        **{name: row[name] for name in BASE},
        hyperparameters=cells.get("hyperparameters", {}),
        metrics=cells.get("all_metrics", {}),
        nonfinite=cells.get("nonfinite", {}),
    )


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
