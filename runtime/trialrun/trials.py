"""The trial table: rows that change cell by cell, and the payloads built from them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

from trialrun.events import flatten_mapping, nonfinite_name, to_plain
from trialrun.numbers import is_number
from trialrun_hookspecs.errors import BadValue

__all__ = [
    "BASE_COLUMNS",
    "METRIC_COLUMNS",
    "RESULT_KEYS",
    "TRIAL_STATUSES",
    "Coalescer",
    "TrialChange",
    "TrialReported",
    "TrialRow",
    "TrialStarted",
    "TrialStatusChanged",
    "TrialTable",
    "merge_delta",
    "normalize_payload",
    "normalize_table",
]

BASE_COLUMNS = ("trial_id", "status")
METRIC_COLUMNS = 4
TRIAL_STATUSES = ("PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR")

RESULT_KEYS = frozenset(
    {
        "checkpoint_dir_name",
        "config",
        "date",
        "done",
        "episodes_this_iter",
        "episodes_total",
        "experiment_id",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "time_this_iter_s",
        "time_total_s",
        "timestamp",
        "timesteps_since_restore",
        "timesteps_this_iter",
        "timesteps_total",
        "training_iteration",
        "trial_id",
        "trial_name",
        "warmup_time",
    }
)
"""The keys that Ray adds to every result or reads from it; never columns, except for the objective."""

_SECTIONS = ("base", "hyperparameters", "metrics")
_ROW_KEYS = frozenset({*_SECTIONS, "nonfinite", "all_metrics"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A trial starts with this config, for the first time or again."""

    trial_id: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStatusChanged:
    """A trial changes to another of TRIAL_STATUSES."""

    trial_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReported:
    """A trial reports; metrics that it leaves out keep their last values."""

    trial_id: str
    metrics: Mapping[str, Any]


TrialChange = TrialStarted | TrialStatusChanged | TrialReported


@dataclass(slots=True, kw_only=True)
class TrialRow:
    """One trial: flat `config` and `metrics` (numbers only, NaN and infinities unchanged)."""

    status: str = "PENDING"
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, int | float] = field(default_factory=dict)


class TrialTable:
    """All trials of a study; a change costs time for its own cells, whatever the number of trials.

    Columns are the objective and the job's hyperparameters, then others in the order in which they appear. New ones
    are only appended, so an earlier row stays valid when padded with None.
    """

    def __init__(self, metric: str, hyperparameters: Sequence[str] = (), limit: int = METRIC_COLUMNS) -> None:
        self._metric = metric
        self._limit = limit
        self._rows: dict[str, TrialRow] = {}
        self._hyperparameters: dict[str, None] = dict.fromkeys(hyperparameters)
        self._metrics: dict[str, None] = {metric: None}
        self._counts: dict[str, int] = dict.fromkeys(TRIAL_STATUSES, 0)
        self._dirty: dict[str, None] = {}

    @property
    def rows(self) -> Mapping[str, TrialRow]:
        """A read-only, live view of the rows by trial id, in the order in which the trials appeared."""
        return MappingProxyType(self._rows)

    @property
    def hyperparameter_columns(self) -> list[str]:
        """The hyperparameter columns."""
        return list(self._hyperparameters)

    @property
    def metric_columns(self) -> list[str]:
        """The metric columns, at most `limit`, the objective first."""
        return list(islice(self._metrics, self._limit))

    def status_counts(self) -> dict[str, int]:
        """Return the number of trials in each state, including states without trials."""
        return dict(self._counts)

    def apply(self, change: TrialChange) -> None:
        """Apply one change. Raises BadValue for an unknown status; values without JSON form are shown as text."""
        if isinstance(change, TrialStarted):
            row = self._get_or_add_row(change.trial_id)
            row.config = {name: _to_cell(value) for name, value in flatten_mapping(change.config).items()}
            self._hyperparameters.update(dict.fromkeys(row.config))
            self._set_status(row, "RUNNING")
        elif isinstance(change, TrialStatusChanged):
            status = _check_status(change.status, f"trial {change.trial_id!r}")
            self._set_status(self._get_or_add_row(change.trial_id), status)
        else:
            known = change.trial_id in self._rows
            row = self._get_or_add_row(change.trial_id)
            if not known:
                self._set_status(row, "RUNNING")
            self._update_metrics(row, change.metrics)
        self._dirty[change.trial_id] = None

    def snapshot(self, best_trial: str = "") -> dict[str, Any]:
        """Return the whole table as a payload of the platform, which shares nothing with this table."""
        columns = self._column_names()
        return {
            **columns,
            "best_trial": best_trial,
            "trials": {trial_id: self._row_payload(trial_id, columns) for trial_id in self._rows},
        }

    def take_delta(self) -> dict[str, Any] | None:
        """Return the complete rows that changed since the last call, with their `all_metrics`; None when none did."""
        if not self._dirty:
            return None
        columns = self._column_names()
        changed, self._dirty = self._dirty, {}
        return {**columns, "trials": {trial_id: self._delta_row_payload(trial_id, columns) for trial_id in changed}}

    def _get_or_add_row(self, trial_id: str) -> TrialRow:
        row = self._rows.get(trial_id)
        if row is None:
            row = self._rows[trial_id] = TrialRow()
            self._counts[row.status] += 1
        return row

    def _set_status(self, row: TrialRow, status: str) -> None:
        self._counts[row.status] -= 1
        self._counts[status] += 1
        row.status = status

    def _update_metrics(self, row: TrialRow, metrics: Mapping[str, Any]) -> None:
        for name, value in _metric_cells(metrics, self._metric):
            row.metrics[name] = value
            self._metrics[name] = None

    def _column_names(self) -> dict[str, Any]:
        return {
            "base": list(BASE_COLUMNS),
            "hyperparameters": self.hyperparameter_columns,
            "metrics": self.metric_columns,
        }

    def _row_payload(self, trial_id: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        row = self._rows[trial_id]
        shown = {
            "base": [trial_id, row.status],
            "hyperparameters": [_to_payload_cell(row.config.get(name)) for name in columns["hyperparameters"]],
            "metrics": [_to_payload_cell(row.metrics.get(name)) for name in columns["metrics"]],
        }
        flags = {
            **_nonfinite_flags((name, row.config.get(name)) for name in columns["hyperparameters"]),
            **_nonfinite_flags((name, row.metrics.get(name)) for name in columns["metrics"]),
        }
        return {**shown, "nonfinite": flags} if flags else shown

    def _delta_row_payload(self, trial_id: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        metrics = self._rows[trial_id].metrics
        made = self._row_payload(trial_id, columns)
        made["all_metrics"] = {name: _to_payload_cell(value) for name, value in metrics.items()}
        if flags := {**made.get("nonfinite", {}), **_nonfinite_flags(metrics.items())}:
            made["nonfinite"] = flags
        return made


def merge_delta(payload: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new table with the rows of `delta` replaced or added, and the others padded to the new columns."""
    columns = {name: list(delta[name]) for name in _SECTIONS}
    shown = {*columns["hyperparameters"], *columns["metrics"]}
    rows = {**payload.get("trials", {}), **delta["trials"]}
    return {
        **columns,
        "best_trial": payload.get("best_trial", ""),
        "trials": {trial_id: _fit_row(row, columns, shown) for trial_id, row in rows.items()},
    }


def _fit_row(row: Mapping[str, Any], columns: Mapping[str, Sequence[str]], shown: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for section in _SECTIONS:
        missing = len(columns[section]) - len(row[section])
        made[section] = [*row[section], *[None] * missing]
    if flags := {name: flag for name, flag in row.get("nonfinite", {}).items() if name in shown}:
        made["nonfinite"] = flags
    return made


def _metric_cells(metrics: Mapping[str, Any], objective: str) -> Iterator[tuple[str, int | float]]:
    for key, value in metrics.items():
        name = str(key)
        if (name in RESULT_KEYS or name.startswith("config/")) and name != objective:
            continue
        cells = flatten_mapping({name: value}) if isinstance(value, Mapping) else {name: value}
        for inner, cell in cells.items():
            number = cell if type(cell) is float else _to_cell(cell)
            if is_number(number):
                yield inner, number


def _to_cell(value: Any) -> Any:
    # never raises: a config may hold anything, and callbacks that must not stop a study call this
    try:
        made = to_plain(value, nonfinite="keep")
    except BadValue:
        return f"<{type(value).__name__}>"
    return to_plain(made, nonfinite="null") if isinstance(made, list | dict) else made


def _to_payload_cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return to_plain(value)  # a copy: payloads share nothing with the table
    return None if nonfinite_name(value) else value


def _nonfinite_flags(cells: Iterable[tuple[str, Any]]) -> dict[str, str]:
    return {name: flag for name, value in cells if (flag := nonfinite_name(value))}


def _check_status(status: Any, where: str) -> str:
    if status not in TRIAL_STATUSES:
        raise BadValue(f"status must be one of {', '.join(TRIAL_STATUSES)}", where=where, got=repr(status))
    return str(status)


def normalize_payload(data: Any) -> dict[str, Any]:
    """Return a complete payload after checking it: a dict with `trials`. Raises BadValue when a part is not valid."""
    if not isinstance(data, Mapping) or "trials" not in data:
        raise BadValue("must be a dict with 'trials'", where="log_trials data", got=type(data).__name__)
    unknown = [str(key) for key in data if key not in {"trials", "best_trial", *_SECTIONS}]
    if unknown:
        raise BadValue("must not have other keys", where="log_trials data", got=", ".join(unknown))
    sections = {name: data.get(name) for name in _SECTIONS}
    return normalize_table(data["trials"], best_trial=data.get("best_trial", ""), **sections)


def normalize_table(
    trials: Mapping[str, Mapping[str, Any]],
    base: Sequence[str] | None = None,
    hyperparameters: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    best_trial: str | None = "",
) -> dict[str, Any]:
    """Return the payload of a caller's own table: flat rows (column: value) or positional ones, as in a payload.

    `trial_id` becomes the first base column when absent. One of `hyperparameters` and `metrics` may be left out: it
    gets the remaining columns of flat rows, in the order in which they appear. Metrics after the fourth are dropped.
    Raises BadValue when a row does not fit the columns, a metric is not a number, a status is none of TRIAL_STATUSES,
    or `best_trial` is none of the trials.
    """
    rows = _check_rows(trials)
    given = _check_sections(base, hyperparameters, metrics)
    columns = _infer_columns(given, rows)
    made = {trial_id: _build_row(trial_id, row, columns) for trial_id, row in rows.items()}
    best = best_trial or ""
    if best and best not in rows:
        raise BadValue(
            "must be '' or one of the trials", where="best_trial", got=repr(best), fix=_suggest_name(best, rows)
        )
    sent = {**columns, "metrics": columns["metrics"][:METRIC_COLUMNS]}
    if "trial_id" not in sent["base"]:
        sent["base"] = ["trial_id", *sent["base"]]
    return {**sent, "best_trial": best, "trials": made}


def _check_rows(trials: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(trials, Mapping):
        raise BadValue("must be a dict of rows by trial id", where="trials", got=type(trials).__name__)
    for trial_id, row in trials.items():
        if not isinstance(trial_id, str) or not trial_id:
            raise BadValue("a trial id must be a string", where="trials", got=repr(trial_id))
        if not isinstance(row, Mapping):
            raise BadValue("a row must be a dict", where=f"trial {trial_id!r}", got=type(row).__name__)
    return dict(trials)


def _check_sections(
    base: Sequence[str] | None, hyperparameters: Sequence[str] | None, metrics: Sequence[str] | None
) -> dict[str, list[str] | None]:
    given = dict(zip(_SECTIONS, (base, hyperparameters, metrics), strict=True))
    return {section: _check_column_names(names, section) for section, names in given.items()}


def _check_column_names(names: Any, section: str) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise BadValue("must be a list of column names", where=section, got=repr(names)[:80])
    if len(set(names)) != len(names):
        raise BadValue("columns must differ", where=section, got=", ".join(names))
    return list(names)


def _is_positional(row: Mapping[str, Any]) -> bool:
    return (
        bool(row)
        and set(row) <= _ROW_KEYS
        and all(isinstance(row[section], list | tuple) for section in _SECTIONS if section in row)
    )


def _infer_columns(
    given: Mapping[str, list[str] | None], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    columns = {section: names or [] for section, names in given.items()}
    if given["base"] is None:
        columns["base"] = list(BASE_COLUMNS)
    open_sections = [section for section in _SECTIONS[1:] if given[section] is None]
    known = {"trial_id", *columns["base"], *columns["hyperparameters"], *columns["metrics"]}
    flat = (row for row in rows.values() if not _is_positional(row))
    left = list(dict.fromkeys(str(name) for row in flat for name in row if name not in known))
    if left and len(open_sections) == 2:
        fix = "Name hyperparameters= and metrics=."
        raise BadValue("columns must be hyperparameters or metrics", where="trials", got=", ".join(left), fix=fix)
    if open_sections:
        columns[open_sections[0]] = left
    return columns


def _build_row(trial_id: str, row: Mapping[str, Any], columns: Mapping[str, list[str]]) -> dict[str, Any]:
    where = f"trial {trial_id!r}"
    cells = _positional_cells(row, columns, where) if _is_positional(row) else _flat_cells(trial_id, row, columns)
    _check_base(trial_id, dict(zip(columns["base"], cells["base"], strict=True)), where)
    base = cells["base"] if "trial_id" in columns["base"] else [trial_id, *cells["base"]]
    hyperparameters = [_convert_cell(cell, where) for cell in cells["hyperparameters"]]
    metrics = [_convert_metric(cell, where) for cell in cells["metrics"]][:METRIC_COLUMNS]
    flags = {
        **_row_flags(row, columns),
        **_nonfinite_flags(zip(columns["hyperparameters"], hyperparameters, strict=True)),
        **_nonfinite_flags(zip(columns["metrics"][:METRIC_COLUMNS], metrics, strict=True)),
    }
    made: dict[str, Any] = {
        "base": [to_plain(cell, where) for cell in base],
        "hyperparameters": [_to_payload_cell(cell) for cell in hyperparameters],
        "metrics": [_to_payload_cell(cell) for cell in metrics],
    }
    return {**made, "nonfinite": flags} if flags else made


def _row_flags(row: Mapping[str, Any], columns: Mapping[str, list[str]]) -> dict[str, str]:
    flags = row.get("nonfinite") if _is_positional(row) else None
    shown = {*columns["hyperparameters"], *columns["metrics"][:METRIC_COLUMNS]}
    return {name: str(flag) for name, flag in flags.items() if name in shown} if isinstance(flags, Mapping) else {}


def _positional_cells(row: Mapping[str, Any], columns: Mapping[str, list[str]], where: str) -> dict[str, list[Any]]:
    for section, names in columns.items():
        cells = len(row.get(section, ()))
        if cells != len(names):
            got = f"{cells} for {len(names)}: {', '.join(names)}"
            raise BadValue(f"must have one cell per column in '{section}'", where=where, got=got)
    return {section: list(row.get(section, ())) for section in _SECTIONS}


def _flat_cells(trial_id: str, row: Mapping[str, Any], columns: Mapping[str, list[str]]) -> dict[str, list[Any]]:
    known = {"trial_id", *(name for names in columns.values() for name in names)}
    strange = [str(name) for name in row if name not in known]
    if strange:
        fix = _suggest_name(strange[0], known)
        raise BadValue("must fit the columns", where=f"trial {trial_id!r}", got=", ".join(strange), fix=fix)
    full = {"trial_id": trial_id, **row}
    return {section: [full.get(name) for name in names] for section, names in columns.items()}


def _check_base(trial_id: str, base: Mapping[str, Any], where: str) -> None:
    if base.get("trial_id", trial_id) != trial_id:
        raise BadValue("trial_id must be the row's key", where=where, got=repr(base["trial_id"]))
    if base.get("status") is not None:
        _check_status(base["status"], where)


def _convert_cell(value: Any, where: str) -> Any:
    made = to_plain(value, where, nonfinite="keep")
    return to_plain(made, where, nonfinite="null") if isinstance(made, list | dict) else made


def _convert_metric(value: Any, where: str) -> int | float | None:
    made = to_plain(value, where, nonfinite="keep")
    if made is not None and not is_number(made):
        raise BadValue("a metric must be a number", where=where, got=f"{type(value).__name__} {made!r}"[:80])
    return made


def _suggest_name(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


class Coalescer:
    """Decides when a whole table may be sent: at most every `min_interval` seconds, and less often the larger it is.

    The interval grows by `seconds_per_row`, so that the bytes per second of a growing table stay constant. A caller
    that gets False keeps the newest table, tries again after `seconds_until_due`, and sends the last table in any case.
    """

    def __init__(self, clock: Callable[[], float], min_interval: float = 0.5, seconds_per_row: float = 0.005) -> None:
        self._clock = clock
        self._min_interval = min_interval
        self._seconds_per_row = seconds_per_row
        self._last: float | None = None

    def try_acquire(self, now: float | None = None, rows: int = 0) -> bool:
        """Return whether a table of `rows` rows may be sent `now` (default: the clock's time); True counts as sent."""
        moment = self._clock() if now is None else now
        if self.seconds_until_due(moment, rows) > 0.0:
            return False
        self._last = moment
        return True

    def seconds_until_due(self, now: float | None = None, rows: int = 0) -> float:
        """Return the seconds until `try_acquire` would return True; 0.0 when it would now."""
        if self._last is None:
            return 0.0
        moment = self._clock() if now is None else now
        due = self._last + max(self._min_interval, self._seconds_per_row * rows)
        return max(0.0, due - moment)
