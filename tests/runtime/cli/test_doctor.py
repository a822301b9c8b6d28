"""`trialrun doctor` reports errors, and only the variables that are set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from trialrun import __version__
from trialrun.engine.doctor import examine_machine
from trialrun.executors.ray_tune.environment import VARIABLES

Called = Callable[..., Result]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_a_ready_machine_is_described(called: Called) -> None:
    shown = called("doctor")
    assert shown.exit_code == 0, shown.stdout
    assert f"trialrun {__version__}" in shown.stdout
    assert "CPU" in shown.stdout
    assert "TUNE_" not in shown.stdout


def test_an_error_is_reported_with_exit_code_1(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_RESULT_DIR", "/data")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    shown = called("doctor")
    assert shown.exit_code == 1
    errors = [line for line in shown.stdout.splitlines() if line.startswith("error")]
    assert len(errors) == 2
    assert "--results" in errors[0]
    assert "127.0.0.1:9" in errors[1]


def test_a_variable_without_effect_is_a_note(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_SYNCER_VERBOSITY", "3")
    monkeypatch.setenv("WANDB_API_KEY", "hunter2")
    shown = called("doctor", "--json")
    assert shown.exit_code == 0
    message = json.loads(shown.stdout)
    assert message["ok"] is True
    assert [variable["name"] for variable in message["variables"]] == ["TUNE_SYNCER_VERBOSITY", "WANDB_API_KEY"]
    assert [trouble["level"] for trouble in message["troubles"]] == ["note"]
    assert "hunter2" not in shown.stdout


def test_extras_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    real = metadata.requires
    more = ["no-such-thing>=1; extra == 'sky'", "click<1"]
    monkeypatch.setattr(metadata, "requires", lambda name: [*(real(name) or []), *more])
    found = examine_machine({})
    assert found.missing["sky"] == ["no-such-thing"]
    assert found.has_errors
    assert any(trouble.what.startswith("click ") and "'click<1'" in trouble.what for trouble in found.troubles)
    assert "dev" not in found.missing


def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1000, 990, 10))
    assert any("99% full" in trouble.what for trouble in examine_machine({}).troubles)
