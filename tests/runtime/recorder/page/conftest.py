"""What the tests of the page share: a small study, and its page behind a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.server import RecorderServer

from .a_study import PARAMS, Asked, send, table


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Recorder]:
    """Four trials: one ended well, one failed, one paused, one running; each but the last reported thrice."""
    with Recorder(tmp_path / "study" / "recorder.sqlite") as recorder:
        recorder.create_job("study", {"action": "train", "params": PARAMS}, plugin="demo", version="1")
        rows = {
            "a": ("TERMINATED", [0.1, "x"], [0.5]),
            "b": ("ERROR", [0.2, "y"], [None]),
            "c": ("PAUSED", [0.3, "x"], [0.25]),
            "d": ("RUNNING", [0.4, "y"], [None]),
        }
        send(recorder, "trials_delta", table(**rows))
        for trial in "abc":
            for step in (1, 2, 3):
                data = {"trial_id": trial, "iteration": step, "metrics": {"loss": 1 / step}}
                send(recorder, "trial_result", data, datetime=f"2026-01-01T00:00:0{step}+00:00")
        yield recorder


@pytest.fixture
def server(study: Recorder) -> Iterator[RecorderServer]:
    with study.server() as made:
        yield made


@pytest.fixture
def session(server: RecorderServer) -> Iterator[requests.Session]:
    """Somebody who opened the printed address."""
    with requests.Session() as made:
        assert made.get(server.page_url).status_code == 200
        yield made


@pytest.fixture
def asked(server: RecorderServer, session: requests.Session) -> Asked:
    """Ask the page's API about the one recording that there is."""
    key = session.get(f"{server.url}ui/api/jobs").json()["recordings"][0]["recording"]

    def ask(path: str, expected: int = 200, /, **params: Any) -> Any:
        answer = session.get(f"{server.url}ui/api/{key}/{path}", params=params)
        assert answer.status_code == expected, answer.text
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.content

    return ask
