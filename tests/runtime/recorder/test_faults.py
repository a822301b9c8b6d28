"""Tests of `trialrun.recorder.faults`."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder import Fault, Recorder
from trialrun.recorder.access import Endpoint
from trialrun.recorder.faults import Faults, ReplyLost
from trialrun.recorder.mock import mounted
from trialrun.recorder.recorder import HttpServer
from trialrun.recorder.replies import json_reply
from trialrun_hookspecs.errors import BadValue

ENTRY = b'{"event": "message", "job": 1, "data": {"content": "x"}}'


def outcomes(faults: Faults, calls: int = 4, path: str = "logs") -> tuple[list[Any], int]:
    """Return what each call got, a status or "lost", and how many were served."""
    served: list[None] = []

    def serve() -> Any:
        served.append(None)
        return json_reply(200, {})

    found: list[Any] = []
    for _ in range(calls):
        try:
            found.append(faults.intercept_call("POST", path, serve).status)
        except ReplyLost:
            found.append("lost")
    return found, len(served)


def spoiled(**fault: Any) -> tuple[list[Any], int]:
    return outcomes(Faults([Fault(**fault)], sleep=lambda seconds: None))


@pytest.mark.parametrize(
    ("kind", "first", "served"),
    [
        ("unavailable", "lost", 2),
        ("timeout", "lost", 2),
        ("drop", "lost", 4),
        ("cut", "lost", 4),
        ("refuse", 503, 2),
        ("busy", 429, 2),
        ("delay", 200, 4),
    ],
)
def test_each_kind_spoils_the_calls_that_are_named(kind: Any, first: Any, served: int) -> None:
    assert spoiled(kind=kind, first=2, last=3) == ([200, first, first, 200], served)


@given(first=st.integers(1, 6), count=st.integers(1, 6), calls=st.integers(0, 12))
def test_exactly_the_named_calls_are_struck(first: int, count: int, calls: int) -> None:
    faults = Faults([Fault(first=first, last=first + count - 1)])
    outcomes(faults, calls)
    assert [number for number, _ in faults.struck] == [n for n in range(1, calls + 1) if first <= n < first + count]


def test_another_route_is_counted_and_spared() -> None:
    assert spoiled(route="jobs")[0] == [200] * 4
    assert spoiled(route="logs")[0] == ["lost"] * 4


def test_waiting_takes_the_time_that_was_asked_for() -> None:
    slept: list[float] = []
    outcomes(Faults([Fault(kind="delay", seconds=7.0, last=1)], sleep=slept.append))
    assert slept == [7.0]


@pytest.mark.parametrize("wrong", [{"kind": "x"}, {"first": "1"}, {"seconds": -1}, {"seconds": 1e9}, {"route": 3}])
def test_what_is_no_fault_is_refused(recorder: Recorder, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        Fault(**wrong)
    assert recorder.handle("POST", "trialrun/faults", body=_json([wrong])).status == 400
    assert not recorder.faults.plan


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_switches_over_python_count_from_the_next_call(recorder: Recorder) -> None:
    recorder.handle("GET", "models")
    recorder.fail("refuse", first=2, last=2)
    assert [recorder.handle("POST", "logs", body=ENTRY).status for _ in range(3)] == [201, 503, 201]
    recorder.fail("refuse")
    recorder.heal()
    assert recorder.handle("POST", "logs", body=ENTRY).status == 201
    assert len(recorder.messages()) == 3


def test_switches_over_the_route_need_the_token(recorder: Recorder) -> None:
    endpoint = Endpoint(token="secret-secret-secret")
    token = {"Authorization": "Token secret-secret-secret"}
    busy = _json({"kind": "busy", "last": 1, "retry_after": 3})
    assert recorder.handle("POST", "trialrun/faults", body=busy, endpoint=endpoint).status == 401
    assert recorder.handle("POST", "trialrun/faults/", (), token, busy, endpoint=endpoint).status == 200
    struck = recorder.handle("POST", "logs", (), token, ENTRY, endpoint=endpoint)
    assert (struck.status, struck.headers["Retry-After"]) == (429, "3")
    shown = recorder.handle("GET", "trialrun/faults", (), token, endpoint=endpoint).json()
    assert (shown["calls"], shown["struck"]) == (1, [[1, "busy"]])
    assert recorder.handle("DELETE", "trialrun/faults", (), token, endpoint=endpoint).json()["faults"] == []
    assert recorder.handle("POST", "logs", (), token, ENTRY, endpoint=endpoint).status == 201


def test_a_recorder_that_gives_no_answer_can_be_healed_over_its_route(recorder: Recorder) -> None:
    recorder.fail()
    assert recorder.handle("DELETE", "trialrun/faults").status == 200
    assert recorder.handle("GET", "models").status == 200


@pytest.mark.parametrize(("kind", "stored"), [("unavailable", 0), ("timeout", 0), ("drop", 1), ("cut", 1)])
def test_over_http_the_connection_ends_without_a_whole_answer(
    recorder: Recorder, server: HttpServer, kind: Any, stored: int
) -> None:
    recorder.fail(kind, last=1)
    headers = {"Authorization": f"Token {server.token}"}
    with requests.Session() as session:
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            session.post(f"{server.url}logs/", ENTRY, headers=headers, timeout=10)
        assert len(recorder.messages()) == stored
        assert session.post(f"{server.url}logs/", ENTRY, headers=headers, timeout=10).status_code == 201


def test_over_http_a_delayed_answer_comes_late(recorder: Recorder, server: HttpServer) -> None:
    recorder.fail("delay", seconds=0.2, last=1)
    started = time.monotonic()
    answer = requests.get(f"{server.url}models/", headers={"Authorization": f"Token {server.token}"}, timeout=10)
    assert answer.status_code == 200
    assert time.monotonic() - started >= 0.2


def test_under_responses_a_lost_answer_is_a_connection_error(recorder: Recorder) -> None:
    recorder.fail("drop", last=1)
    with mounted(recorder, "http://backend.test/"):
        with pytest.raises(requests.ConnectionError):
            requests.post("http://backend.test/logs/", ENTRY, timeout=10)
        assert requests.post("http://backend.test/logs/", ENTRY, timeout=10).status_code == 201
    assert len(recorder.messages()) == 2
