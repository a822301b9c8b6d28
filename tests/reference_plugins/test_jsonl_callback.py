"""The trial callback hook."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import Callback

from trialrun_reference.jsonl_callback import PATH_VARIABLE, trial_callbacks


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "trials.jsonl"
    monkeypatch.setenv(PATH_VARIABLE, str(path))
    return path


def trial(trial_id: str, **result: Any) -> Any:
    return SimpleNamespace(trial_id=trial_id, config={"lr": 0.1}, last_result={**result, "config": {"lr": 0.1}})


def test_each_trial_that_ends_is_a_line(path: Path) -> None:
    (callback,) = trial_callbacks()
    assert isinstance(callback, Callback)
    callback = pickle.loads(pickle.dumps(callback))
    assert not path.exists()
    callback.on_trial_complete(iteration=1, trials=[], trial=trial("a", loss=0.5, note="ä"))
    callback.on_trial_error(iteration=2, trials=[], trial=trial("b"))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [
        {"trial_id": "a", "status": "TERMINATED", "config": {"lr": 0.1}, "metrics": {"loss": 0.5, "note": "ä"}},
        {"trial_id": "b", "status": "ERROR", "config": {"lr": 0.1}, "metrics": {}},
    ]


def test_what_json_cannot_hold_becomes_text(path: Path) -> None:
    (callback,) = trial_callbacks()
    callback.on_trial_complete(
        iteration=1, trials=[], trial=trial("a", loss=math.nan, deep=[{"x": -math.inf}], where=Path("x"))
    )
    assert json.loads(path.read_text("utf-8"))["metrics"] == {"loss": "nan", "deep": [{"x": "-inf"}], "where": "x"}


def test_without_a_path_there_is_no_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATH_VARIABLE, raising=False)
    assert list(trial_callbacks()) == []
