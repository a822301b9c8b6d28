"""Fixtures: the datasets and checkpoints that the recorder serves."""

from __future__ import annotations

import csv
import json
import math
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun.run_dir.atomic import replace_file
from trialrun_hookspecs.errors import FixtureInvalid

__all__ = ["DatasetRow", "Fixtures", "Source", "parse_fixture", "split_fixture", "write_zip"]

Source = str | Path | Iterable[Mapping[str, Any]] | Callable[[], Iterable[Mapping[str, Any]]]

FORM = "Write it as ID=PATH, for example 123=./data."
FOLDER = "Make a folder for each category, and put files into it, each with its data in a .json file beside it."
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same content makes the same archive


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """One ground truth event; `files` maps names to paths, or to the content itself."""

    category: str
    data: Any
    files: Mapping[str, Path | bytes] = field(default_factory=dict)


class Fixtures:
    """Datasets and checkpoints by id. Each is checked when it is added, so that an error shows before a job starts."""

    def __init__(self) -> None:
        self.datasets: dict[int, tuple[DatasetRow, ...]] = {}
        self.checkpoints: dict[int, Path] = {}

    def add_dataset(self, dataset_id: int, source: Source) -> None:
        """Add a dataset; `source` is a folder, a CSV file, the rows, or a function that returns the rows.

        Raises FixtureInvalid.
        """
        where = f"dataset {dataset_id}"
        rows = _read_path(Path(source), where) if isinstance(source, str | Path) else _parse_rows(source, where)
        if not rows:
            raise FixtureInvalid("must have at least one row", where=where, got="none", fix=FOLDER)
        self.datasets[dataset_id] = tuple(rows)

    def add_checkpoint(self, model_id: int, path: str | Path) -> None:
        """Add a checkpoint: a file, a folder or a .zip archive. Raises FixtureInvalid."""
        path = Path(path)
        where = f"checkpoint {model_id}"
        _check_filled(path, where)
        if path.suffix.lower() == ".zip" and not zipfile.is_zipfile(path):
            raise FixtureInvalid(
                "a .zip must be a zip archive", where=where, got=str(path), fix="Name its folder instead."
            )
        self.checkpoints[model_id] = path

    def checkpoint_zip(self, model_id: int, cache: Path) -> Path:
        """Return the checkpoint as an archive; a file or folder is packed into `cache` the first time."""
        path = self.checkpoints[model_id]
        if path.suffix.lower() == ".zip" and path.is_file():
            return path
        packed = cache / f"checkpoint-{model_id}.zip"
        if not packed.exists():
            write_zip(path, packed)
        return packed


def split_fixture(text: str) -> tuple[int, str]:
    """Return the id and the rest of `"123=anything"`; the rest may be a path or the name of a dataset hook."""
    number, equals, rest = text.partition("=")
    if not equals or not number.strip().isascii() or not number.strip().isdigit() or not rest.strip():
        raise FixtureInvalid("a fixture is an id, '=' and a path", where="fixture", got=repr(text), fix=FORM)
    if (fixture_id := int(number[:40])) > 2**63 - 1:
        raise FixtureInvalid("an id is below 2**63", where="fixture", got=repr(text[:60]), fix=FORM)
    return fixture_id, rest.strip()


def parse_fixture(text: str) -> tuple[int, Path]:
    """Return the id and the path of `"123=PATH"`. Raises FixtureInvalid: the path is missing or empty."""
    fixture_id, rest = split_fixture(text)
    path = Path(rest).expanduser()
    _check_filled(path, f"fixture {fixture_id}")
    return fixture_id, path


def write_zip(source: Path, target: Path) -> None:
    """Write `source` (a file, or the content of a folder) as an archive; `target` appears when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    members = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    root = source.parent if source.is_file() else source
    with replace_file(target) as partial, zipfile.ZipFile(partial, "w") as archive:  # not compressed: it stays here
        for member in members:
            info = zipfile.ZipInfo(member.relative_to(root).as_posix(), _ZIP_DATE)
            with member.open("rb") as reader, archive.open(info, "w", force_zip64=True) as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)


def _check_filled(path: Path, where: str) -> None:
    if not path.exists():
        raise FixtureInvalid("the path must exist", where=where, got=str(path), fix="Check the spelling, or create it.")
    empty = not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
    if empty:
        kind = "folder" if path.is_dir() else "file"
        raise FixtureInvalid(
            "must not be empty", where=where, got=f"the empty {kind} {path}", fix="Put the data there."
        )


def _read_path(path: Path, where: str) -> list[DatasetRow]:
    _check_filled(path, where)
    if path.is_dir():
        return _read_folder(path, where)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, where)
    raise FixtureInvalid("a dataset is a folder or a .csv file", where=where, got=str(path), fix=FOLDER)


def _read_folder(folder: Path, where: str) -> list[DatasetRow]:
    rows = []
    for category in sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path)):
        files = sorted(path for path in category.rglob("*") if path.is_file() and not _is_hidden(path))
        described = {path.with_suffix("") for path in files if path.suffix != ".json"}
        for path in files:
            sidecar = path.with_suffix(".json")
            if path != sidecar:
                data = _read_json(sidecar, where) if sidecar.is_file() else {}
                rows.append(DatasetRow(category=category.name, data=data, files={"file": path}))
            elif path.with_suffix("") not in described:
                rows.append(DatasetRow(category=category.name, data=_read_json(path, where)))
    if not rows:
        raise FixtureInvalid("must hold category folders with files", where=where, got=str(folder), fix=FOLDER)
    return rows


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _read_json(path: Path, where: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        rule = "the data beside a file must be JSON"
        raise FixtureInvalid(rule, where=where, got=f"{path} ({error})", fix="Correct that file.") from None


def _read_csv(path: Path, where: str) -> list[DatasetRow]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return [
                _parse_csv_row(line, path, f"{where}, row {number}")
                for number, line in enumerate(csv.DictReader(lines), 1)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        fix = "Save it as CSV in UTF-8."
        raise FixtureInvalid("must be CSV in UTF-8", where=where, got=f"{path} ({error})", fix=fix) from None


def _parse_csv_row(line: dict[str, Any], path: Path, where: str) -> DatasetRow:
    if None in line or None in line.values():
        fix = "Quote cells that hold commas."
        raise FixtureInvalid("must have as many cells as the header", where=where, got=str(path), fix=fix)
    named = [part.strip() for column in ("file", "files") for part in line.pop(column, "").split(";") if part.strip()]
    category = line.pop("category", "") or "train"
    files = {f"file_{n}" if n > 1 else "file": path.parent / part for n, part in enumerate(named, 1)}
    _check_files(files, where)
    return DatasetRow(category=category, data={name: _parse_cell(cell) for name, cell in line.items()}, files=files)


def _parse_cell(cell: str) -> int | float | str:
    """Return the cell as a number when it is one: `007`, `1_000`, `nan` and blanks stay text."""
    try:
        value = json.loads(cell, parse_constant=str)
    except (ValueError, RecursionError):
        return cell
    return value if type(value) is int or (type(value) is float and math.isfinite(value)) else cell


def _parse_rows(source: Any, where: str) -> list[DatasetRow]:
    rows = source() if callable(source) else source
    if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
        raise FixtureInvalid("must be rows", where=where, got=type(rows).__name__, fix="Give an iterable of dicts.")
    return [_parse_row(row, f"{where}, row {number}") for number, row in enumerate(rows)]


def _parse_row(row: Any, where: str) -> DatasetRow:
    shape = 'Give {"category": str, "data": JSON, "files": {name: path or bytes}}.'
    if not isinstance(row, Mapping) or not isinstance(row.get("category"), str) or not row["category"]:
        raise FixtureInvalid("must be a dict with a category", where=where, got=repr(row)[:120], fix=shape)
    files = row.get("files") or {}
    if not isinstance(files, Mapping) or not all(isinstance(content, str | Path | bytes) for content in files.values()):
        raise FixtureInvalid("files must map names to paths or bytes", where=where, got=repr(files)[:120], fix=shape)
    data = row.get("data", {})
    try:
        json.dumps(data)
    except (TypeError, ValueError) as error:
        raise FixtureInvalid("data must be JSON", where=where, got=str(error), fix=shape) from None
    contents = {str(name): content if isinstance(content, bytes) else Path(content) for name, content in files.items()}
    _check_files({name: content for name, content in contents.items() if isinstance(content, Path)}, where)
    return DatasetRow(category=row["category"], data=data, files=contents)


def _check_files(files: Mapping[str, Path], where: str) -> None:
    for path in files.values():
        if not path.is_file():
            fix = "Correct the path (in a CSV file it is relative to that file), or create the file."
            raise FixtureInvalid("every file of a row must exist", where=where, got=str(path), fix=fix)
