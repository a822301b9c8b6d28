"""Tests of checkpoint records: a trial resumes from complete checkpoints only, the newest first."""

from __future__ import annotations

from pathlib import Path

from trialrun.run_dir.checkpoints import (
    CheckpointRecord,
    copy_checkpoint,
    find_checkpoint_record,
    list_checkpoints,
    write_checkpoint_record,
)


def mark(path: Path, iteration: int) -> CheckpointRecord:
    return CheckpointRecord(
        path=str(path), iteration=iteration, attempt=0, number=iteration, metrics={"l": 1.0}, report={}
    )


def test_marks_come_back_in_order_and_only_while_their_checkpoints_are_there(tmp_path: Path) -> None:
    made = []
    for iteration in (1, 2, 3):
        folder = tmp_path / f"checkpoint_{iteration}"
        folder.mkdir()
        made.append(mark(folder, iteration))
        write_checkpoint_record(tmp_path, made[-1])
    assert list_checkpoints(tmp_path) == made
    (tmp_path / "checkpoint_3").rmdir()
    assert list_checkpoints(tmp_path) == made[:2]


def test_a_checkpoint_made_again_is_the_newest(tmp_path: Path) -> None:
    for name, iteration in (("a", 1), ("b", 2), ("a", 3)):
        (tmp_path / name).mkdir(exist_ok=True)
        write_checkpoint_record(tmp_path, mark(tmp_path / name, iteration))
    assert [found.iteration for found in list_checkpoints(tmp_path)] == [2, 3]


def test_a_torn_line_is_no_mark(tmp_path: Path) -> None:
    write_checkpoint_record(tmp_path, mark(tmp_path, 1))
    with (tmp_path / "checkpoints.jsonl").open("a") as file:
        file.write('{"path": "/x", "iteration"')
    write_checkpoint_record(tmp_path, mark(tmp_path, 2))
    assert [found.iteration for found in list_checkpoints(tmp_path)] == [2]


def test_a_mark_is_found_by_the_path_wherever_the_results_lie(tmp_path: Path) -> None:
    folder = tmp_path / "t1" / "checkpoint_000001"
    folder.mkdir(parents=True)
    write_checkpoint_record(tmp_path, mark(folder, 4))
    assert find_checkpoint_record(tmp_path, Path("/elsewhere/t1/checkpoint_000001")) == mark(folder, 4)
    assert find_checkpoint_record(tmp_path, Path("/elsewhere/t2/checkpoint_000001")) is None


def test_a_copy_replaces_what_an_attempt_left(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    source.mkdir()
    (source / "new").write_text("1")
    target.mkdir()
    (target / "old").write_text("0")
    assert [path.name for path in copy_checkpoint(source, target).iterdir()] == ["new"]
    assert [path.name for path in copy_checkpoint(source / "new", target).iterdir()] == ["new"]
