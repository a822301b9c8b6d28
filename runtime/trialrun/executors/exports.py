"""Exports of a trial's results into its folder, for other tools: CSV, lines of JSON, TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trialrun import events
from trialrun.numbers import is_finite_number
from trialrun.run_dir import layout
from trialrun.run_dir.tensorboard import EventFile

__all__ = ["EXPORTS", "Exports", "flatten_result"]

_STEP = "training_iteration"
_NO_SCALARS = (_STEP, "timestamp", "pid")


class _Export(Protocol):
    def write_result(self, result: Mapping[str, Any]) -> None: ...

    def finish_export(self, metrics: Mapping[str, Any]) -> None: ...


class Exports:
    """Writes the results of trials to the files that the job chose. Exceptions are kept in `errors`, not raised.

    A trial that resumes from a checkpoint repeats steps: their new rows replace the old ones.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = kinds
        self._open: dict[str, list[_Export]] = {}
        self.errors: list[Exception] = []

    def start_trial(self, trial_id: str, folder: Path, config: Mapping[str, Any]) -> None:
        """Open the exports of a trial with these flat hyperparameters in its folder."""
        if not self._kinds:
            return
        with self._collect_errors():
            folder.mkdir(parents=True, exist_ok=True)
            _write_params(folder, config)
            self._open[trial_id] = [EXPORTS[kind](folder, config) for kind in self._kinds]

    def write_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Write one result, including the fields that the trial did not report itself."""
        for export in self._open.get(trial_id, ()):
            with self._collect_errors():
                export.write_result(result)

    def finish_trial(self, trial_id: str, metrics: Mapping[str, Any]) -> None:
        """Close the exports of a trial that ended with these metrics."""
        for export in self._open.pop(trial_id, ()):
            with self._collect_errors():
                export.finish_export(metrics)

    @contextlib.contextmanager
    def _collect_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  # a full disk must not end the study
            self.errors.append(error)


def flatten_result(result: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as Ray writes it: flat, with the hyperparameters as `config/…`."""
    flat = events.flatten_mapping({key: value for key, value in result.items() if key != "config"})
    return {**flat, **{f"config/{name}": value for name, value in config.items()}}


def _write_params(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / layout.PARAMS_LOG).write_text(json.dumps(config, indent=1, default=str) + "\n", encoding="utf-8")


def _read_step(row: Mapping[str, Any]) -> int:
    try:
        return int(float(row[_STEP]))
    except (KeyError, ValueError, TypeError):
        return 0


class _Csv:
    """`progress.csv`: a row per result. A column that appears later is empty in earlier rows."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._path = folder / layout.CSV_LOG
        self._config = config
        rows = self._read_rows()
        self._last = max(map(_read_step, rows), default=0)
        self._columns = list(rows[0]) if rows else []

    def write_result(self, result: Mapping[str, Any]) -> None:
        row = {key: _format_cell(value) for key, value in flatten_result(result, self._config).items()}
        more = [key for key in row if key not in self._columns]
        rewrite = bool(more) or _read_step(result) <= self._last
        rows = [*(old for old in self._read_rows() if _read_step(old) < _read_step(result)), row] if rewrite else [row]
        self._columns += more
        self._last = _read_step(result)
        with self._path.open("w" if rewrite else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            if rewrite:
                writer.writeheader()
            writer.writerows(rows)

    def finish_export(self, metrics: Mapping[str, Any]) -> None:
        """Do nothing: every row is written already."""

    def _read_rows(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _format_cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


class _Json:
    """`result.json`: a line of JSON per result, with the hyperparameters as `config`, as Ray writes it."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._path = folder / layout.JSON_LOG
        self._config = config
        self._last = max((_read_step(row) for row in self._read_rows()), default=0)

    def write_result(self, result: Mapping[str, Any]) -> None:
        kept: list[Mapping[str, Any]] = []
        repeated = _read_step(result) <= self._last
        if repeated:
            kept = [row for row in self._read_rows() if _read_step(row) < _read_step(result)]
        with self._path.open("w" if repeated else "a", encoding="utf-8") as file:
            for row in [*kept, {**result, "config": dict(self._config)}]:
                file.write(json.dumps(events.to_plain(row, "result", "null"), default=str) + "\n")
        self._last = _read_step(result)

    def finish_export(self, metrics: Mapping[str, Any]) -> None:
        """Do nothing: every line is written already."""

    def _read_rows(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        rows = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # cut short when its writer died
                rows.append(json.loads(line))
        return rows


class _TensorBoard:
    """`events.out.tfevents.*`: a scalar per number; at the end the hyperparameters, for TensorBoard's HParams."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder = folder
        self._config = config
        self._file: EventFile | None = None
        self._last = 0

    def write_result(self, result: Mapping[str, Any]) -> None:
        step = _read_step(result)
        if self._file is None or step <= self._last:  # repeated steps replace those in older files
            if self._file is not None:
                self._file.close()
            # nanoseconds: two files of one second need two names, and TensorBoard reads them in this order
            path = self._folder / f"events.out.tfevents.{time.time_ns()}.trialrun"
            self._file = EventFile(path, time.time(), purge_step=step if step > 1 else None)
        self._last = step
        self._add_scalars({k: v for k, v in events.flatten_mapping(result).items() if k not in _NO_SCALARS})
        self._file.flush()

    def finish_export(self, metrics: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        numbers = {name: float(v) for name, v in events.flatten_mapping(metrics).items() if is_finite_number(v)}
        self._file.add_hyperparameters(self._config, numbers, time.time())
        self._add_scalars(numbers)
        self._file.close()

    def _add_scalars(self, cells: Mapping[str, Any]) -> None:
        for name, value in cells.items():
            if self._file is not None and is_finite_number(value):
                self._file.add_scalar(name, value, self._last)


EXPORTS: Mapping[str, Callable[[Path, Mapping[str, Any]], _Export]] = {
    "csv": _Csv,
    "json": _Json,
    "tensorboard": _TensorBoard,
}
"""The exports by their names in `tune_config.loggers`."""
