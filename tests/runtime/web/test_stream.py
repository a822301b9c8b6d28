"""Tests of `trialrun.web.stream`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer
from trialrun.recordings.library import OpenRecording
from trialrun.web import stream
from trialrun.web.stream import Follower

from ..recordings.a_study import PARAMS, send, table  # noqa: TID252  # the studies of both folders are the same

CHANGES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["RUNNING", "PAUSED", "ERROR"]), st.integers(0, 3))
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def events(sent: list[bytes]) -> Iterator[tuple[str, str, Any]]:
    for event in sent:
        lines = dict(line.partition(": ")[::2] for line in event.decode().strip().splitlines())
        yield lines["event"], lines.get("id", ""), json.loads(lines["data"])


@pytest.fixture
def reading(study: Recorder) -> Iterator[OpenRecording]:
    made = OpenRecording(study.path)
    yield made
    made.close()


def took_in(rows: dict[str, Any], sent: list[bytes]) -> str:
    """Do as a page does: keep the newest version of each row. Return the last id."""
    last = ""
    for name, identity, data in events(sent):
        last = identity or last
        if name == "reset":
            rows.clear()
        for row in data.get("rows", ()) if name == "rows" else ():
            metrics = dict(zip(data["columns"]["metrics"], row[9], strict=True))
            if row[0] not in rows or rows[row[0]][0] < row[2]:
                rows[row[0]] = (row[2], row[3], {name: cell for name, cell in metrics.items() if cell is not None})
    return last


@given(st.lists(CHANGES, max_size=4), st.integers(1, 4))
def test_deltas_put_together_are_the_whole_table(rounds: list[list[tuple[str, str, int]]], most: int) -> None:
    with Recorder() as recorder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "MOST_ROWS", most)
        recorder.create_job("study", {"params": PARAMS})
        reading = OpenRecording(recorder.path)
        rows: dict[str, Any] = {}
        follower, last = Follower(reading, 1, "", Clock()), ""
        for number, changes in enumerate(rounds):
            for trial, status, loss in changes:
                send(recorder, "trials_delta", table(**{trial: (status, [None, None], [loss])}))
            if number % 2:  # the browser comes back after a break
                follower = Follower(reading, 1, last, Clock())
            last = took_in(rows, follower.next_events()) or last
            while follower.has_more:
                last = took_in(rows, follower.next_events()) or last
        expected = {trial: (row["status"], row["all_metrics"]) for trial, row in recorder.table_rows(1).items()}
        assert {trial: (status, metrics) for trial, (_, status, metrics) in rows.items()} == expected
        reading.close()


def test_without_news_nothing_is_sent(reading: OpenRecording) -> None:
    follower = Follower(reading, 1, "", Clock())
    assert [name for name, _, _ in events(follower.next_events())] == ["rows", "job"]
    assert follower.next_events() == []


def test_a_client_that_was_away_gets_what_it_missed(study: Recorder, reading: OpenRecording) -> None:
    last = took_in({}, Follower(reading, 1, "", Clock()).next_events())
    send(study, "trials_delta", table(a=("ERROR", [0.1, "x"], [0.5])))
    ((name, _, data),) = [
        event for event in events(Follower(reading, 1, last, Clock()).next_events()) if event[0] == "rows"
    ]
    assert [row[0] for row in data["rows"]] == ["a"], name


@pytest.mark.parametrize("last", ["other.5", "x", "99", ".", "ffffffff.99999999999999999999"])
def test_a_client_of_another_time_starts_anew(reading: OpenRecording, last: str) -> None:
    assert [name for name, _, _ in events(Follower(reading, 1, last, Clock()).next_events())][:2] == ["reset", "rows"]


def test_one_event_holds_few_rows(study: Recorder, reading: OpenRecording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_ROWS", 3)
    follower = Follower(reading, 1, "", Clock())
    sizes = [len(data["rows"]) for _ in range(3) for name, _, data in events(follower.next_events()) if name == "rows"]
    assert sizes == [3, 1]


def known(server: HttpServer) -> dict[str, str]:
    return {"Authorization": f"Token {server.token}"}


def test_a_stopping_server_ends_its_streams_with_the_last_news(server: HttpServer, session: requests.Session) -> None:
    key = session.get(f"{server.url}ui/api/jobs").json()["recordings"][0]["recording"]
    with session.get(f"{server.url}ui/api/{key}/jobs/1/stream", stream=True, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"retry: 1000"
        server.recorder.handle("PATCH", "jobs/1", body=b'{"status": "SUCCEEDED"}', headers=known(server))
        server.stop()
        assert b'"status": "SUCCEEDED"' in b"".join(lines), "the last thing that a page hears is how the job ended"


def test_streams_are_counted(server: HttpServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from trialrun.web import app

    monkeypatch.setattr(app, "MOST_STREAMS", 0)
    key = session.get(f"{server.url}ui/api/jobs").json()["recordings"][0]["recording"]
    assert session.get(f"{server.url}ui/api/{key}/jobs/1/stream").status_code == 503


def test_a_recording_of_an_older_trialrun_is_followed_too(study: Recorder, tmp_path: Path) -> None:
    study.close()
    import sqlite3

    connection = sqlite3.connect(study.path)
    connection.executescript("DROP TABLE trials; DROP TABLE series; DROP TABLE index_state; DROP INDEX entries_trial;")
    connection.close()
    before = study.path.read_bytes()
    reading = OpenRecording(study.path)
    rows: dict[str, Any] = {}
    took_in(rows, Follower(reading, 1, "", Clock()).next_events())
    assert set(rows) == set("abcd")
    reading.close()
    assert study.path.read_bytes() == before
