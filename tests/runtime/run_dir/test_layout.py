"""Tests of `trialrun.run_dir.layout`."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import trialrun
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

RUNTIME = Path(trialrun.__file__).parent
DISTINCT = (
    layout.RUN_RECORD,
    layout.JOB_FILE,
    layout.UNDELIVERED,
    layout.TRACEBACK,
    layout.OWNER,
    layout.PART_SUFFIX,
    layout.DEAD_LETTERS,
    layout.RECORDING,
    layout.JOURNAL,
    layout.CHECKPOINT_RECORDS,
    layout.PARAMS_LOG,
    layout.CSV_LOG,
)
"""Names that no other thing has; `result.json`, for one, is also a log of Ray's."""


@cache
def strings_of(file: Path) -> set[str]:
    """Return the string constants of a module, with those of f-strings."""
    tree = ast.parse(file.read_text("utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("name", DISTINCT)
def test_a_name_stands_in_one_module(name: str) -> None:
    files = [file for file in RUNTIME.rglob("*.py") if name in strings_of(file)]
    assert files == [Path(layout.__file__)]


def test_numbers_are_part_of_names() -> None:
    assert layout.spool_name("a1", 2) == "a1.2.jsonl"
    assert layout.is_driver_spool(layout.spool_name(layout.DRIVER, 0))
    assert not layout.is_driver_spool(layout.spool_name("drivers", 0))
    assert layout.checkpoint_name(12) == "checkpoint_000012"


def test_files_beside_a_recording_go_by_its_name(tmp_path: Path) -> None:
    assert layout.files_beside(tmp_path / "mine.sqlite") == tmp_path / "mine-files"
    assert [path.name for path in layout.sqlite_files(tmp_path / "mine.sqlite")] == [
        "mine.sqlite-wal",
        "mine.sqlite-shm",
        "mine.sqlite-journal",
    ]


def test_results_folders_are_numbered(tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    assert layout.create_results_folder(root, "a job", None) == (root / "a job-1", 1)
    (root / "other-7").mkdir()
    assert layout.create_results_folder(root, "a job", None) == (root / "a job-8", 8)
    assert layout.create_results_folder(root, "a job", 3) == (root / "a job-3", 3)
    with pytest.raises(UsageError, match="this job has results already"):
        layout.create_results_folder(root, "a job", 3)


def test_a_file_is_no_root_of_results(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--results: must be a folder"):
        layout.create_results_folder(tmp_path / "file", "job", None)
    with pytest.raises(UsageError, match="--results: cannot be created"):
        layout.create_results_folder(tmp_path / "file" / "below", "job", None)
