"""Fixtures for the tests of the Web UI: a small study, and its page behind a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer

from ..recordings.a_study import Asked, study  # noqa: TID252  # one study for both folders

__all__ = ["study"]


@pytest.fixture
def server(study: Recorder) -> Iterator[HttpServer]:
    with study.server() as made:
        yield made


@pytest.fixture
def session(server: HttpServer) -> Iterator[requests.Session]:
    """A session that opened the printed address."""
    with requests.Session() as made:
        assert made.get(server.page_url).status_code == 200
        yield made


@pytest.fixture
def asked(server: HttpServer, session: requests.Session) -> Asked:
    """Ask the page's API about the one recording that there is."""
    key = session.get(f"{server.url}ui/api/jobs").json()["recordings"][0]["recording"]

    def ask(path: str, expected: int = 200, /, **params: Any) -> Any:
        answer = session.get(f"{server.url}ui/api/{key}/{path}", params=params)
        assert answer.status_code == expected, answer.text
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.content

    return ask
