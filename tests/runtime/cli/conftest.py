"""Calls of the command, in this process or in a separate one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from trialrun.cli import main

ROOT = Path(__file__).resolve().parents[3]
LINE = ROOT / "examples" / "line.csv"

Called = Callable[..., Result]
Spawned = Callable[..., subprocess.CompletedProcess[str]]
Written = Callable[..., Path]


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Called:
    """Call the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> Result:
        result = CliRunner().invoke(main, [str(arg) for arg in args], prog_name="trialrun")
        assert "Traceback" not in result.stderr
        return result

    return call


@pytest.fixture
def spawned(tmp_path: Path) -> Spawned:
    """Call the command in a separate process, in an empty folder."""

    def spawn(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trialrun", *map(str, args)]
        given = {"capture_output": True, "text": True, "timeout": 100, "cwd": tmp_path, **options}
        return subprocess.run(command, check=False, **given)

    return spawn


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment without the variables of a test runner or a terminal."""
    unwanted = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "PYTHONWARNINGS", "TERM"}
    return {key: value for key, value in os.environ.items() if key not in unwanted}


@pytest.fixture
def training(tmp_path: Path) -> Written:
    """Write a training job and give its path."""

    def write(hyperparameter: Mapping[str, Any] | None = None, **params: Any) -> Path:
        given = {"name": "a job", "dataset": 1, "hyperparameter": dict(hyperparameter or {}), **params}
        return _written(tmp_path, given)

    return write


@pytest.fixture
def tuning(tmp_path: Path) -> Written:
    """Write a tuning job over the given distributions and give its path."""

    def write(*space: Mapping[str, Any], tune_config: Mapping[str, Any] | None = None, **params: Any) -> Path:
        config = {"metric": "score", "mode": "max", **(tune_config or {})}
        given = {"name": "a job", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
        return _written(tmp_path, {**given, **params})

    return write


def _written(folder: Path, params: Mapping[str, Any]) -> Path:
    path = folder / "job.json"
    path.write_text(json.dumps({"action": "train", "params": params}), encoding="utf-8")
    return path
