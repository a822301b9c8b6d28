"""`trialrun record` serves until a signal stops it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from trialrun import Recorder
from trialrun.cli.record import catch_stop_signals

LINE = Path(__file__).resolve().parents[3] / "examples" / "line.csv"


def test_it_serves_until_a_signal_stops_it(tmp_path: Path) -> None:
    db = tmp_path / "kept.sqlite"
    command = [sys.executable, "-m", "trialrun", "record", "--json", "--db", str(db), "--dataset", f"5={LINE}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recording:
        assert recording.stdout is not None
        facts = json.loads(recording.stdout.readline())
        headers = {"Authorization": f"Token {facts['token']}"}
        query = {"ground_truth_dataset_versions": "5", "fields": ["category", "data"], "expand": "data"}
        page = requests.get(f"{facts['url']}sdk/ground_truth_events/", query, headers=headers, timeout=20)
        entry = {"event": "message", "data": {"context": "info", "content": "hello"}, "job": 1}
        stored = requests.post(f"{facts['url']}logs/", json=entry, headers=headers, timeout=20)
        recording.send_signal(signal.SIGTERM)
        stdout, stderr = recording.communicate(timeout=30)
    assert page.json()["count"] == len(LINE.read_text("utf-8").splitlines()) - 1
    assert stored.ok
    assert (stdout, stderr, recording.returncode) == ("", "", 0)
    assert facts["db"] == str(db)
    with Recorder.open(db) as kept:
        assert [message["content"] for message in kept.messages()] == ["hello"]


def test_url_and_token_are_printed(called) -> None:
    shown = called("record", "--for", "0")
    assert shown.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert facts["url"].startswith("http://127.0.0.1:")
    assert len(facts["token"]) >= 32
    assert not Path(facts["db"]).exists(), "it was temporary"
    assert shown.stderr == "recording until Ctrl-C; then the recording is deleted: keep it with --db PATH\n"


def test_a_recorder_that_others_can_reach_warns(called) -> None:
    shown = called("record", "--for", "0", "--host", "0.0.0.0", "--allow-remote")
    assert shown.exit_code == 0
    assert shown.stderr.startswith("warning: other machines can reach the recorder at 0.0.0.0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_stop_a_server(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with catch_stop_signals() as end:
        assert not end.is_set()
        signal.raise_signal(number)
        assert end.wait(5)
    assert signal.getsignal(number) is before


def test_a_dataset_may_be_named(called) -> None:
    assert called("record", "--for", "0", "--dataset", "1=digits").exit_code == 0


def test_a_port_that_is_taken_is_named(called) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = called("record", "--for", "0", "--port", port)
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"error: 127.0.0.1:{port}: cannot listen here")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--host", "0.0.0.0"], "this machine only"),
        (["--dataset", "nonsense"], "an id, '=' and a path"),
        (["--dataset", "1=nowhere"], "must be a path, or the name of a dataset"),
        (["--dataset", f"1={LINE}", "--dataset", f"1={LINE}"], "an id must be given once"),
        (["--checkpoint", "1=nowhere"], "the path must exist"),
        (["--db", "."], "--db: must be a file, got a folder"),
        (["--db", f"{LINE}"], "must be a recording"),
        (["--db", f"{LINE}/below.sqlite"], "--db: cannot be created"),
    ],
)
def test_what_it_cannot_serve_is_refused(args: list[str], message: str, called) -> None:
    shown = called("record", "--for", "0", *args)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
