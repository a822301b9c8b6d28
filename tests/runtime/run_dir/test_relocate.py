"""Tests of relocation: recorded paths follow the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.run_dir.checkpoints import CheckpointRecord, list_checkpoints, write_checkpoint_record
from trialrun.run_dir.journal import Journal, read_journal
from trialrun.run_dir.relocate import relocate_paths, results_roots


def test_paths_below_the_folder_are_moved_wherever_they_stand() -> None:
    said = {"a": ["/old/x", {"b": "/old"}], "/old/x": 1, "c": "/older/x", "d": "see /old/x", "e": None}
    assert relocate_paths(said, "/old", "/new") == {**said, "a": ["/new/x", {"b": "/new"}]}
    assert relocate_paths(said, "/old", "/old") is said


@pytest.mark.parametrize(
    ("old", "new", "above"),
    [
        ("/a/r/cut-1/trials/t", "/b/cut-1/trials/t", ("/a/r/cut-1", "/b/cut-1")),
        ("/a/cut-1/train", "/b/cut-2/train", ("/a/cut-1", "/b/cut-2")),
        ("/a/t", "/a/t", ("/", "/")),
    ],
)
def test_the_results_are_what_lies_above_a_trial(old: str, new: str, above: tuple[str, str]) -> None:
    assert results_roots(old, new) == above


def test_marks_and_a_journal_follow_their_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    trial, checkpoint = old / "trials" / "t", old / "ray" / "t" / "checkpoint_1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state").write_text("1")
    metrics = {"checkpoint_output": str(trial / "model")}
    write_checkpoint_record(
        trial, CheckpointRecord(path=str(checkpoint), iteration=1, attempt=0, number=3, metrics=metrics, report=metrics)
    )
    journal = Journal(old)
    journal.record_trial("t", {})
    journal.close()
    old.rename(new)
    (found,) = list_checkpoints(new / "trials" / "t")
    assert found.path == str(new / "ray" / "t" / "checkpoint_1")
    assert found.metrics == found.report == {"checkpoint_output": str(new / "trials" / "t" / "model")}
    assert read_journal(new).configs == {"t": {}}


def test_a_checkpoint_of_which_a_part_is_missing_is_not_complete(tmp_path: Path) -> None:
    for number in (1, 2):
        checkpoint = tmp_path / f"checkpoint_{number}"
        checkpoint.mkdir()
        for part in ("a", "b"):
            (checkpoint / part).write_text("whole")
        write_checkpoint_record(
            tmp_path,
            CheckpointRecord(path=str(checkpoint), iteration=number, attempt=0, number=number, metrics={}, report={}),
        )
    (tmp_path / "checkpoint_2" / "b").write_text("who")
    assert [mark.iteration for mark in list_checkpoints(tmp_path)] == [1]
    (tmp_path / "checkpoint_1" / "a").unlink()
    assert list_checkpoints(tmp_path) == []
