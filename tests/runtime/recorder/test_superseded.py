"""Steps that a trial does again are shown once, and what was shown before is kept."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trialrun import events
from trialrun.recorder import Recorder
from trialrun_hookspecs.event import Event

PREFIX = "run-t1-"


def send(recorder: Recorder, *made: Event) -> None:
    entries = [{**events.to_log_entry(event), "key": event.key} for event in made]
    answer = recorder.handle("POST", "logs/", (), {"content-type": "application/json"}, json_of(entries))
    assert answer.status == 201, answer


def json_of(value: Any) -> bytes:
    return json.dumps(value).encode()


def stamped(event: Event, attempt: int, number: int, trial: str = "t1") -> Event:
    time = f"2026-01-01T00:00:{attempt:02d}.{number:06d}+00:00"
    key = f"run-{trial}-{attempt}-{number}"
    return events.stamp_event(event, job_id=1, trial_id=trial, key=key, seq=number, time=time)


def step(attempt: int, number: int, value: float, trial: str = "t1") -> Event:
    return stamped(events.metric_event("train", "step", value, {}), attempt, number, trial)


def resumed(attempt: int, iteration: int, after: tuple[int, int] | None) -> Event:
    return stamped(events.resume_event("t1", attempt, iteration, PREFIX, after), attempt, 0)


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=4))
def test_however_often_it_goes_on_each_step_is_there_once(runs: list[tuple[int, int]]) -> None:
    with Recorder() as recorder:
        recorder.create_job("j", {}, job_id=1)
        shown: list[tuple[int, tuple[int, int]]] = []  # step, and the event that reported it
        for attempt, (length, back) in enumerate(runs):
            first = max(len(shown) - back, 0)
            if attempt:
                shown = shown[:first]
                send(recorder, resumed(attempt, first, shown[-1][1] if shown else None))
            for number in range(length):
                place = (attempt, number + 1)
                send(recorder, step(*place, float(first + number)))
                shown.append((first + number, place))
        assert [m["value"] for m in recorder.metrics()] == [float(value) for value, _ in shown]
        assert sum(e["event"].endswith("metric") for e in recorder.events()) == sum(length for length, _ in runs)


def test_other_trials_and_messages_of_the_driver_stay() -> None:
    with Recorder() as recorder:
        recorder.create_job("j", {}, job_id=1)
        send(recorder, step(0, 1, 1.0), step(0, 1, 9.0, "t2"), step(0, 2, 2.0))
        send(recorder, stamped(events.message_event("said", "info"), 0, 3))
        send(recorder, resumed(1, 1, (0, 1)))
        assert [m["value"] for m in recorder.metrics()] == [1.0, 9.0]
        assert recorder.messages() == []
        assert [e["event"] for e in recorder.events() if e["event"].startswith("superseded:")] == [
            "superseded:metric",
            "superseded:message",
        ]


def test_reports_after_the_checkpoint_are_done_again() -> None:
    with Recorder() as recorder:
        recorder.create_job("j", {}, job_id=1)
        for iteration in (1, 2, 3):
            send(recorder, stamped(events.trial_result_event("t1", iteration, {"l": 1.0}), 0, iteration, "driver"))
        send(recorder, resumed(1, 1, (0, 0)), resumed(1, 1, (0, 0)))
        for iteration in (2, 3):
            send(recorder, stamped(events.trial_result_event("t1", iteration, {"l": 0.5}), 1, iteration, "driver"))
        found = [(e["data"]["iteration"], e["data"]["metrics"]["l"]) for e in recorder.events("trial_result")]
        assert found == [(1, 1.0), (2, 0.5), (3, 0.5)]


def test_what_comes_late_is_done_again_all_the_same() -> None:
    with Recorder() as recorder:
        recorder.create_job("j", {}, job_id=1)
        send(recorder, step(0, 1, 1.0), resumed(1, 1, (0, 1)), step(1, 1, 2.0))
        send(recorder, stamped(events.trial_result_event("t1", 2, {"l": 9.0}), 0, 7, "driver"), step(0, 2, 2.0))
        send(recorder, stamped(events.trial_result_event("t1", 2, {"l": 1.0}), 1, 2, "driver"))
        assert [m["value"] for m in recorder.metrics()] == [1.0, 2.0]
        assert [e["data"]["metrics"]["l"] for e in recorder.events("trial_result")] == [1.0]


def test_what_makes_no_sense_changes_nothing() -> None:
    with Recorder() as recorder:
        recorder.create_job("j", {}, job_id=1)
        send(recorder, step(0, 1, 1.0))
        for number, data in enumerate([{}, {"prefix": ""}, {"prefix": PREFIX, "attempt": "x"}, {"prefix": 3}, []]):
            entry = {"event": "resumed", "data": data, "job": 1, "key": f"odd-{number}"}
            answer = recorder.handle("POST", "logs/", (), {"content-type": "application/json"}, json_of([entry]))
            assert answer.status == 201
        assert [m["value"] for m in recorder.metrics()] == [1.0]
