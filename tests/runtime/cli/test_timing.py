"""The time of a trial is read from the newest recording that has ended trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trialrun import Recorder
from trialrun.cli.timing import compute_durations, estimate_trial_time
from trialrun_hookspecs import parse_request

JOB = parse_request({"action": "train", "params": {"name": "a/job", "dataset": 1, "hyperparameter": {}}})


def _entry(second: float, **statuses: str) -> dict[str, Any]:
    rows = {trial_id: {"base": [trial_id, status]} for trial_id, status in statuses.items()}
    return {"time": f"2026-01-01T00:00:{second:09.6f}+00:00", "data": {"base": ["trial_id", "status"], "trials": rows}}


def _recording(folder: Path, *entries: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    with Recorder(folder / "recorder.sqlite") as recorder:
        for entry in entries:
            data = {**entry["data"], "hyperparameters": [], "metrics": []}
            for row in data["trials"].values():
                row |= {"hyperparameters": [], "metrics": [], "all_metrics": {}}
            body = {"event": "trials_delta", "data": data, "datetime": entry["time"], "job": 1}
            assert recorder.handle("POST", "logs/", body=json.dumps(body).encode()).status < 300


def test_a_trial_lasts_from_its_first_sight_to_its_end() -> None:
    entries = [
        _entry(0, a="RUNNING", b="PENDING"),
        _entry(2, b="RUNNING"),
        _entry(3, a="TERMINATED", c="RUNNING"),
        _entry(4, b="TERMINATED", c="ERROR", d="RUNNING"),
        _entry(9, a="TERMINATED"),
    ]
    assert compute_durations(entries) == [3.0, 2.0]


def test_the_newest_run_that_has_ended_trials_counts(tmp_path: Path) -> None:
    _recording(tmp_path / "a%2Fjob-2", _entry(0, a="RUNNING"), _entry(8, a="TERMINATED"))
    _recording(tmp_path / "a%2Fjob-10", _entry(0, a="RUNNING", b="RUNNING"), _entry(2, a="TERMINATED"))
    _recording(tmp_path / "a%2Fjob-11", _entry(0, a="RUNNING"))
    _recording(tmp_path / "a%2Fjob-b-12", _entry(0, a="RUNNING"), _entry(1, a="TERMINATED"))
    assert estimate_trial_time(tmp_path, JOB) == (2.0, "a%2Fjob-10")


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_what_is_no_recording_is_passed_over(content: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "a%2Fjob-1").mkdir()
    if content is not None:
        (tmp_path / "a%2Fjob-1" / "recorder.sqlite").write_bytes(content)
    (tmp_path / "a%2Fjob-7").touch()
    assert estimate_trial_time(tmp_path, JOB) is None
    assert estimate_trial_time(tmp_path / "absent", JOB) is None
