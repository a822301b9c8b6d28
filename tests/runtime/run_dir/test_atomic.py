"""Tests of `trialrun.run_dir.atomic`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from trialrun.run_dir.atomic import create_folder, replace_file


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replace_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replace_file(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127])
def test_the_longest_names_are_taken(tmp_path: Path, name: str) -> None:
    with replace_file(tmp_path / name) as partial:
        partial.touch()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_threads_replace_one_file_at_once(tmp_path: Path) -> None:
    path, both = tmp_path / "file", threading.Barrier(2, timeout=10)

    def write(text: str) -> None:
        with replace_file(path) as partial:
            partial.write_text(text)
            both.wait()
            assert partial.read_text() == text

    threads = [threading.Thread(target=write, args=(text,)) for text in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("one", "other")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "above" / "folder"
    with create_folder(path) as partial:
        (partial / "file").touch()
        assert not path.exists()
    assert [file.name for file in path.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_never_replaces_another_that_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with create_folder(path) as partial:
        (partial / "file").touch()
    with pytest.raises(OSError, match="not empty"), create_folder(path) as partial:
        (partial / "other").touch()
    assert [file.name for file in path.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [path]
