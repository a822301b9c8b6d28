"""A recording in Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import trialrun
from trialrun.recorder import Recorder
from trialrun_hookspecs.errors import UsageError

from .some_study import HOSTILE, small


def test_trials_are_rows_of_a_frame(tmp_path: Path) -> None:
    frame = trialrun.load(small(tmp_path)).trials
    assert list(frame["trial_id"]) == ["a", "b", "c"]
    assert list(frame["config/kind"]) == ["x", "y", "z"]
    assert list(frame["metrics/loss"]) == [1 / 3, 2 / 3, 1.0]
    assert str(frame["started"].dtype).endswith("UTC]")


def test_metric_points_are_rows_of_a_frame(tmp_path: Path) -> None:
    frame = trialrun.load(small(tmp_path) / "recorder.sqlite").metrics
    own = frame[frame["trial_id"] == "b"]
    assert list(own["value"]) == [2.0, 1.0, 2 / 3]
    assert list(own["step"]) == [1, 2, 3]
    assert list(frame[frame["source"] == "metric"]["name"]) == ["train/lr"]


def test_the_best_never_failed(tmp_path: Path) -> None:
    best = trialrun.load(small(tmp_path, names=("a", "b", "c"))).best
    assert best is not None
    assert (best["trial_id"], best["config"]["kind"]) == ("a", "x")


def test_the_result_is_that_of_run(tmp_path: Path) -> None:
    assert trialrun.load(small(tmp_path)).result is None
    (tmp_path / "result.json").write_text(json.dumps({"model_id": 7, "job_id": 1}))
    result = trialrun.load(tmp_path).result
    assert result is not None
    assert result.model_id == 7


def test_a_notebook_shows_hostile_words_as_text(tmp_path: Path) -> None:
    shown = trialrun.load(small(tmp_path, names=(HOSTILE, "b", "c")))._repr_html_()
    assert "<script" not in shown
    assert "&lt;/script&gt;" in shown


def test_a_study_without_trials_has_empty_frames(tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        recorder.create_job("bare", {"params": {}})
    loaded = trialrun.load(tmp_path)
    assert (len(loaded.trials), len(loaded.metrics), loaded.best) == (0, 0, None)
    assert "bare" in loaded._repr_html_()


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recorder\.sqlite"):
        trialrun.load(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        trialrun.load(tmp_path / "nowhere")


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    Recorder(tmp_path / "recorder.sqlite").close()
    with pytest.raises(UsageError, match="an empty recording"):
        trialrun.load(tmp_path)


def test_another_job_can_be_asked_for(tmp_path: Path) -> None:
    small(tmp_path)
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        recorder.create_job("second", {"params": {}})
    assert trialrun.load(tmp_path).name == "second"
    assert trialrun.load(tmp_path, job=1).name == "a study"
    with pytest.raises(UsageError, match="--job"):
        trialrun.load(tmp_path, job=9)
