"""Debuggers work in trials of the inline executor, and a first failure can be the last."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LINE = Path(__file__).resolve().parents[3] / "examples" / "line.csv"
LIMIT_S = 90
BREAKS = """
def tune(hyperparameter, run, dataset, checkpoint):
    secret_of_the_trial = hyperparameter["n"] * 1000
    breakpoint()
    return {"score": secret_of_the_trial}
"""
FAILS = """
def train(run, dataset, hyperparameter, checkpoint): ...
def tune(hyperparameter, run, dataset, checkpoint):
    if hyperparameter["n"] == 2:
        raise RuntimeError("the second one")
    return {"score": hyperparameter["n"]}
"""


def test_a_breakpoint_in_a_trial_stops_at_a_prompt(tuning: Callable[..., Path], tmp_path: Path) -> None:
    job = tuning({"name": "n", "type": "grid_search", "options": [7]})
    plugin = tmp_path / "breaks.py"
    plugin.write_text(BREAKS + "def train(run, dataset, hyperparameter, checkpoint): ...\n")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "trialrun", "run", str(job), "--plugin", str(plugin), "--dataset", f"1={LINE}"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [*command, "--executor", "inline"], stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment
    )
    os.close(slave)
    try:
        _until(master, "(Pdb)")
        os.write(master, b"p secret_of_the_trial\n")
        message = _until(master, "7000")
        assert "7000" in message
        os.write(master, b"c\n")
        _until(master, "", process)
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    (result,) = tmp_path.glob("trialrun-results/*/result.json")
    assert json.loads(result.read_text())["best_trial"]["metrics"] == {"score": 7000}


def _until(terminal: int, wanted: str, process: subprocess.Popen[Any] | None = None) -> str:
    """Return what the terminal shows until `wanted` is in it, or until the process has ended."""
    shown, end = "", time.monotonic() + LIMIT_S
    while not (wanted and wanted in shown):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                return shown
        elif process is not None and process.poll() is not None:
            return shown
    return shown


def test_the_first_failure_can_end_the_study(
    called: Callable[..., Any], tuning: Callable[..., Path], tmp_path: Path
) -> None:
    job = tuning({"name": "n", "type": "grid_search", "options": [1, 2, 3]})
    plugin = tmp_path / "fails.py"
    plugin.write_text(FAILS)
    options = ["run", job, "--plugin", plugin, "--dataset", f"1={LINE}", "--executor", "inline"]
    patient = called(*options)
    assert patient.exit_code == 0, patient.stderr
    hasty = called(*options, "--fail-fast")
    assert hasty.exit_code == 1
    assert "the second one" in hasty.stderr
    trials = sorted(path.parent.parent.parent.name for path in tmp_path.glob("trialrun-results/*/trials/*/config.json"))
    assert [trials.count(name) for name in dict.fromkeys(trials)] == [3, 2]


@pytest.mark.parametrize(
    ("config", "message"), [({"max_failures": 1}, "excludes tune_config.max_failures"), (None, "needs a tuning job")]
)
def test_fail_fast_is_refused_where_it_means_nothing(
    called: Callable[..., Any],
    tuning: Callable[..., Path],
    training: Callable[..., Path],
    config: dict[str, Any] | None,
    message: str,
) -> None:
    space = {"name": "n", "type": "grid_search", "options": [1]}
    job = training() if config is None else tuning(space, tune_config=config)
    refused = called("run", job, "--plugin", "pure", "--dataset", f"1={LINE}", "--fail-fast", "--executor", "inline")
    assert refused.exit_code == 2
    assert message in refused.stderr
