"""Exports of a study: CSV, JSON, Parquet and TensorBoard files of its trials and metric points."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

from trialrun.events import nonfinite_name, null_nonfinite
from trialrun.recordings.points import POINT, Point
from trialrun.recordings.rows import read_points, trial_columns, trial_values
from trialrun.recordings.source import Study
from trialrun.run_dir.atomic import replace_file
from trialrun_hookspecs.errors import UsageError

__all__ = ["FORMATS", "export_study", "list_file_names"]

BATCH = 100_000
INT64 = 2**63

_CELL = json.JSONEncoder(ensure_ascii=False).encode  # reused: json.dumps would build an encoder for each call
_LINE = json.JSONEncoder(allow_nan=False).encode


def export_study(study: Study, kind: str, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the files of `kind` into `folder`, which is created, and return their paths.

    Raises UsageError: an unknown kind, a file in the way, or a missing library.
    """
    writer = FORMATS.get(kind)
    if writer is None:
        raise UsageError("must be one of " + ", ".join(FORMATS), where="--format", got=kind, fix="Choose one of these.")
    _prepare_folder(folder, [folder / name for name in list_file_names(kind)], overwrite=overwrite)
    return writer(study, folder)


def list_file_names(kind: str) -> list[str]:
    """Return the names of the files or folders that an export of that kind writes."""
    return {"json": ["study.json"], "tensorboard": ["tensorboard"]}.get(kind, [f"trials.{kind}", f"metrics.{kind}"])


def _prepare_folder(folder: Path, files: Sequence[Path], *, overwrite: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        fix = "Name a folder, or a path that does not exist yet."
        raise UsageError("must be a folder", where="--output", got=f"{folder}, which is a file", fix=fix) from None
    for file in files:
        # a folder is overwritten file by file, a file as a whole, and neither replaces the other
        if file.is_dir() != (file.name == "tensorboard") and file.exists():
            fix = "Move it away, or name another folder."
            raise UsageError("must be free for the export", where=str(file), got="another kind of file", fix=fix)
        if file.exists() and not overwrite:
            fix = "Name another folder with --output, or give --overwrite."
            raise UsageError("must not exist yet", where=str(file), got="an earlier export", fix=fix)


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    with replace_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


# CSV: text that would read as JSON is quoted as JSON, other text stays plain; an empty cell is missing


def _write_csv(study: Study, folder: Path) -> list[Path]:
    columns = trial_columns(study.list_trials())
    _write_csv_file(folder / "trials.csv", list(columns), zip(*columns.values(), strict=True))
    _write_csv_file(folder / "metrics.csv", POINT, read_points(study))
    return [folder / "trials.csv", folder / "metrics.csv"]


def _write_csv_file(path: Path, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with _open_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([_format_csv_cell(cell) for cell in row] for row in rows)


def _format_csv_cell(cell: Any) -> str:
    if cell is None:
        return ""
    if type(cell) is float and math.isfinite(cell):
        return repr(cell)  # equals JSON, and is faster
    if not isinstance(cell, str) or cell == "" or _reads_as_json(cell):
        return _CELL(cell)
    return cell


@lru_cache(maxsize=4096)  # ids and names repeat
def _reads_as_json(text: str) -> bool:
    if not text[0].isspace() and text[0] not in '-0123456789"[{tfnNI':
        return False  # most texts: faster than parsing
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# JSON: one object; NaN and infinities are null, and `nonfinite` names them as in the recorder's trial tables


def _write_json(study: Study, folder: Path) -> list[Path]:
    path = folder / "study.json"
    trials = study.list_trials()
    head = {
        "format": 1,
        "job": study.read_job_facts(),
        "best_trial": study.find_best_id(trials),
        "failures": study.list_failures(),
    }
    with _open_text(path) as file:
        file.write(json.dumps(null_nonfinite(head))[:-1])
        file.write(',\n"trials": [')
        _write_json_items(file, (_trial_to_json(trial) for trial in trials))
        file.write('],\n"metrics": [')
        _write_json_items(file, (_point_to_json(point) for point in read_points(study)))
        file.write("]}\n")
    return [path]


def _write_json_items(file: IO[str], items: Iterable[Mapping[str, Any]]) -> None:
    for index, item in enumerate(items):
        file.write((",\n" if index else "\n") + _LINE(item))


def _trial_to_json(trial: Any) -> dict[str, Any]:
    facts = {name: cells[0] for name, cells in trial_columns([trial]).items() if "/" not in name}
    config, metrics = trial_values(trial)
    flags = {"config": _name_nonfinite_cells(config), "metrics": _name_nonfinite_cells(metrics)}
    row = {**facts, "config": null_nonfinite(config), "metrics": null_nonfinite(metrics)}
    flags = {part: names for part, names in flags.items() if names}
    return {**row, "nonfinite": flags} if flags else row


def _point_to_json(point: Point) -> dict[str, Any]:
    row: dict[str, Any] = {name: cell for name, cell in point._asdict().items() if cell is not None}
    if isinstance(point.value, float) and not math.isfinite(point.value):
        return {**null_nonfinite(row), "nonfinite": nonfinite_name(point.value)}
    return row if point.extra is None else {**row, "extra": null_nonfinite(point.extra)}


def _name_nonfinite_cells(cells: Mapping[str, Any]) -> dict[str, str]:
    return {name: word for name, cell in cells.items() if (word := nonfinite_name(cell))}


# Parquet: columns of one type; a mixed or nested column holds JSON text, as the metadata of its field says


def _write_parquet(study: Study, folder: Path) -> list[Path]:
    arrow, parquet = _import_pyarrow()
    columns = {name: _build_column(arrow, cells) for name, cells in trial_columns(study.list_trials()).items()}
    fields = [arrow.field(name, array.type, metadata=metadata) for name, (array, metadata) in columns.items()]
    table = arrow.Table.from_arrays([array for array, _ in columns.values()], schema=arrow.schema(fields))
    with replace_file(folder / "trials.parquet") as partial:
        parquet.write_table(table, partial, compression="zstd")
    with replace_file(folder / "metrics.parquet") as partial:
        _write_point_file(arrow, parquet, partial, read_points(study))
    return [folder / "trials.parquet", folder / "metrics.parquet"]


def _write_point_file(arrow: Any, parquet: Any, path: Path, points: Iterator[Point]) -> None:
    text, double = arrow.string(), arrow.float64()
    types = (text, text, text, double, text, double, text)
    fields = [arrow.field(name, kind) for name, kind in zip(POINT, types, strict=True)]
    fields[-1] = fields[-1].with_metadata({"trialrun": "json"})
    schema = arrow.schema(fields)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(points, BATCH)):
            cells = [list(column) for column in zip(*batch, strict=True)]
            for place in (3, 5):
                cells[place] = [_to_double(number) for number in cells[place]]
            cells[6] = [None if extra is None else json.dumps(extra) for extra in cells[6]]
            arrays = [arrow.array(column, kind) for column, kind in zip(cells, types, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _to_double(number: float | None) -> float | None:
    try:
        return None if number is None else float(number)
    except OverflowError:
        return math.inf if number and number > 0 else -math.inf


def _build_column(arrow: Any, cells: list[Any]) -> tuple[Any, dict[str, str] | None]:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {bool}:
        return arrow.array(cells, arrow.bool_() if kinds else arrow.string()), None
    if kinds <= {int} and all(cell is None or -INT64 <= cell < INT64 for cell in cells):
        return arrow.array(cells, arrow.int64()), None
    if kinds <= {int, float} and all(type(cell) is not int or _is_exact(cell) for cell in cells):
        return arrow.array([None if cell is None else float(cell) for cell in cells], arrow.float64()), None
    if kinds <= {str}:
        return arrow.array(cells, arrow.string()), None
    texts = [None if cell is None else json.dumps(cell) for cell in cells]
    return arrow.array(texts, arrow.string()), {"trialrun": "json"}


def _is_exact(number: int) -> bool:
    """Return whether a double holds the integer exactly."""
    return abs(number) < INT64 and int(float(number)) == number


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        fix = "Install it: pip install pyarrow (ray[tune], which trialrun needs for studies, brings it too)."
        raise UsageError("parquet needs pyarrow", where="--format", got=str(error), fix=fix) from None
    return pa, parquet


def _write_tensorboard(study: Study, folder: Path) -> list[Path]:
    from trialrun.recordings.tensorboard import write_runs

    return write_runs(study, folder / "tensorboard")


FORMATS: Mapping[str, Callable[[Study, Path], list[Path]]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
    "tensorboard": _write_tensorboard,
}
"""The function that writes each format, by name."""
