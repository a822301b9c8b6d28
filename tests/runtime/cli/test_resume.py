"""`trialrun resume` takes a folder or the URL of a copy, and names the error in either."""

from __future__ import annotations

from pathlib import Path

import pytest

import trialrun

from .conftest import LINE, Called

JOB = {
    "action": "train",
    "params": {
        "name": "small",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [
            {"name": "epochs", "type": "choice", "options": [2]},
            {"name": "learning_rate", "type": "choice", "options": [0.1]},
        ],
        "tune_config": {"metric": "loss", "mode": "min", "num_samples": 1},
    },
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    storage = tmp_path / "storage"
    trialrun.run(
        JOB, plugin="pure", datasets={1: LINE}, executor="inline", results=tmp_path / "first", storage=str(storage)
    )
    return storage / "small-1"


def test_a_copy_is_fetched_to_where_runs_have_their_results(called: Called, copy: Path, tmp_path: Path) -> None:
    assert called("resume", f"file://{copy}", "--json").exit_code == 0
    assert (tmp_path / "trialrun-results" / "small-1" / "recorder.sqlite").exists()
    again = called("resume", f"file://{copy}")
    assert again.exit_code == 2
    assert "trialrun resume" in again.stderr


def test_a_path_is_fetched_when_it_is_said_where_to(called: Called, copy: Path, tmp_path: Path) -> None:
    assert called("resume", copy, "--results", "here", "--quiet").exit_code == 0
    assert (tmp_path / "here" / "small-1" / "result.json").exists()


@pytest.mark.parametrize(
    ("url", "message"), [("nowhere://x/y", "cannot be reached"), ("file:///nothing/there", "no run")]
)
def test_a_copy_that_is_not_there_is_a_wrong_call(called: Called, url: str, message: str) -> None:
    result = called("resume", url)
    assert result.exit_code == 2
    assert message in result.stderr
