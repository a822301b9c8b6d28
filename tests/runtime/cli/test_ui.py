"""`trialrun ui` shows recordings until a signal stops it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from trialrun import Recorder

from .conftest import Called


def recorded(folder: Path) -> Path:
    with Recorder(folder / "recorder.sqlite") as recorder:
        recorder.create_job("shown", {"params": {}})
    return folder / "recorder.sqlite"


@pytest.mark.parametrize(
    ("named", "end"), [("file", signal.SIGINT), ("results", signal.SIGTERM), ("all", signal.SIGINT)]
)
def test_the_printed_address_shows_the_recording(named: str, end: signal.Signals, tmp_path: Path) -> None:
    path = recorded(tmp_path / "shown-1")
    given = {"file": path, "results": path.parent, "all": tmp_path}[named]
    command = [sys.executable, "-m", "trialrun", "ui", str(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as showing:
        assert showing.stdout is not None
        address = showing.stdout.readline().strip()
        with requests.Session() as session:
            page = session.get(address, timeout=20)
            jobs = session.get(f"{page.url}api/jobs", timeout=20).json()
        showing.send_signal(end)
        rest, message = showing.communicate(timeout=30)
    assert "trialrun" in page.text
    assert [job["name"] for recording in jobs["recordings"] for job in recording["jobs"]] == ["shown"]
    assert (rest, message, showing.returncode) == ("", "", 0)


def test_what_is_not_there_is_refused(called: Called) -> None:
    result = called("ui", "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_another_kind_of_file_is_refused(called: Called, tmp_path: Path) -> None:
    (tmp_path / "other.sqlite").write_text("no recording", "utf-8")
    result = called("ui", tmp_path / "other.sqlite")
    assert result.exit_code == 2
    assert "recording" in result.stderr


def test_a_host_that_others_reach_must_be_allowed(called: Called, tmp_path: Path) -> None:
    recorded(tmp_path / "r")
    assert called("ui", tmp_path, "--host", "0.0.0.0", "--for", "0").exit_code == 2
    assert called("ui", tmp_path, "--host", "0.0.0.0", "--allow-remote", "--for", "0").exit_code == 0
