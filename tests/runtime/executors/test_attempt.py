"""One call of a plugin, by itself: what it prints, raises, changes and reports."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun import events
from trialrun.executors.attempt import AttemptSpec, open_attempt, override_checkpoint
from trialrun.run_dir.checkpoints import list_checkpoints
from trialrun.run_dir.run_config import RunConfig


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    def make(**options: Any) -> AttemptSpec:
        folders = {"folder": tmp_path / "work", "spool_dir": tmp_path / "spool"}
        known = {
            "job_id": 1,
            "run_key": "r",
            "trial_id": "a",
            "spool_name": "a",
            "seed": 3,
            "run_config": RunConfig(),
            **folders,
        }
        return AttemptSpec(**{**known, **options})

    return make


def spooled(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_attempt_has_a_spool_and_keys_of_its_own(spec: Callable[..., AttemptSpec], tmp_path: Path) -> None:
    for number in range(2):
        with open_attempt(spec()) as attempt:
            assert attempt.number == number
            attempt.emit(events.message_event("hello", "info"))
    assert [spooled(tmp_path / "spool" / f"a.{n}.jsonl")[0]["key"] for n in range(2)] == ["r-a-0-0", "r-a-1-0"]


def test_a_plugin_runs_seeded_in_its_folder(spec: Callable[..., AttemptSpec], tmp_path: Path) -> None:
    before = Path.cwd()
    with open_attempt(spec()) as attempt:
        place, number = attempt.call_plugin(lambda: (Path.cwd(), random.random()))
    assert (place, Path.cwd()) == (tmp_path / "work", before)
    assert number == random.Random(3).random()


def test_the_environment_is_put_back(spec: Callable[..., AttemptSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALRUN_TEST", "before")
    with open_attempt(spec()) as attempt:
        attempt.call_plugin(lambda: os.environ.update(TRIALRUN_TEST="after"))
    assert os.environ["TRIALRUN_TEST"] == "before"


@pytest.mark.parametrize("failures", [(Exception,), (Exception, SystemExit)])
@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(2)])
def test_a_failure_leaves_its_traceback_in_stderr(
    spec: Callable[..., AttemptSpec], tmp_path: Path, error: BaseException, failures: tuple[type[BaseException], ...]
) -> None:
    def fail() -> None:
        raise error

    with open_attempt(spec()) as attempt, pytest.raises(type(error)):
        attempt.call_plugin(fail, failures=failures)
    text = (tmp_path / "work" / "stderr").read_text()
    assert ("in fail" in text) == isinstance(error, failures)


def test_output_goes_to_files_only_where_it_is_kept(spec: Callable[..., AttemptSpec], tmp_path: Path) -> None:
    with open_attempt(spec(output_files=("out", "err"))) as attempt:
        attempt.call_plugin(lambda: sys.stdout.write("one\n"))
    with open_attempt(spec(output_files=None)) as attempt:
        attempt.call_plugin(lambda: sys.stdout.write("two\n"))
    assert (tmp_path / "work" / "out").read_text() == "one\n"


def test_a_resumed_attempt_names_the_events_that_it_repeats(spec: Callable[..., AttemptSpec], tmp_path: Path) -> None:
    with open_attempt(spec()) as attempt:
        attempt.emit(events.message_event("one", "info"))
        (tmp_path / "work" / "c").mkdir()
        attempt.record_checkpoint(str(tmp_path / "work" / "c"), 4, metrics={"loss": 1.0}, report={})
    (record,) = list_checkpoints(tmp_path / "work")
    with open_attempt(spec()) as attempt:
        attempt.emit_resumed(record)
        attempt.emit_resumed(None)
    resumed = [line["data"] for line in spooled(tmp_path / "spool" / "a.1.jsonl")]
    assert [(data["iteration"], data["after"], data["prefix"]) for data in resumed] == [
        (4, [0, 0], "r-a-"),
        (0, None, "r-a-"),
    ]


def test_a_resumed_attempt_gets_its_own_checkpoint() -> None:
    assert override_checkpoint({"path": "/job", "id": 3}, None) == {"path": "/job", "id": 3}
    assert override_checkpoint({"path": "/job", "id": 3}, Path("/own")) == {"path": "/own", "id": 3, "resumed": True}
    assert override_checkpoint(None, Path("/own")) == {"path": "/own", "resumed": True}
