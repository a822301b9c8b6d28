"""`trialrun flush` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import trialrun
from trialrun.cli.app import main

ROWS = [{"category": "train", "data": {"x": [1.0], "y": 2.0}}]
JOB = {"action": "train", "params": {"name": "n", "dataset": 1, "hyperparameter": {"epochs": 1, "learning_rate": 0.1}}}


def finished(tmp_path: Path) -> Path:
    return Path(trialrun.run(JOB, plugin="pure", datasets={1: ROWS}, results=tmp_path).results_dir)


def test_nothing_to_send_is_a_success(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["flush", str(finished(tmp_path))])
    assert (shown.exit_code, shown.stdout.startswith("nothing to send: all ")) == (0, True)


def test_what_was_sent_is_said(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    (folder / "recorder.sqlite").unlink()
    (folder / "sent" / "recorder.jsonl").unlink()
    with trialrun.Recorder(folder / "recorder.sqlite") as fresh:
        fresh.create_job("n", JOB, job_id=1)
    shown = CliRunner().invoke(main, ["flush", str(folder), "--json"])
    done = json.loads(shown.stdout)
    assert (shown.exit_code, done["left"], done["refused"]) == (0, 0, 0)
    assert done["sent"] > 0


def test_a_backend_that_is_away_is_exit_code_1(tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        main, ["flush", str(finished(tmp_path)), "--backend", "http://127.0.0.1:9/", "--timeout", "0.5"]
    )
    assert shown.exit_code == 1
    assert "left" in shown.stdout
    assert "no answer" in shown.stdout


def test_a_folder_that_is_no_run_is_exit_code_2(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["flush", str(tmp_path)]).exit_code == 2
