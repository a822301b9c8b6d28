"""A job's state has what a terminal shows of its events."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun import events, outcomes
from trialrun.cli.job_state import JobState
from trialrun.trials import TrialReported, TrialStarted, TrialStatusChanged, TrialTable
from trialrun_hookspecs.event import Event

STATUSES = ("PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR")
VALUES = st.none() | st.floats(-5, 5) | st.sampled_from([math.nan, math.inf, -math.inf])
ROWS = st.lists(st.tuples(st.sampled_from(STATUSES), VALUES), min_size=1, max_size=8)


def _table(rows: list[tuple[str, float | None]]) -> TrialTable:
    table = TrialTable("score", ["x"])
    for number, (status, value) in enumerate(rows):
        table.apply(TrialStarted(trial_id=f"t{number}", config={"x": number}))
        if value is not None:
            table.apply(TrialReported(trial_id=f"t{number}", metrics={"score": value, "loss": 1}))
        table.apply(TrialStatusChanged(trial_id=f"t{number}", status=status))
    return table


def _state_of(rows: list[tuple[str, float | None]], mode: outcomes.Mode = "max") -> JobState:
    state = JobState("score", mode, len(rows))
    state.apply_event(events.trials_delta_event(_table(rows).take_delta() or {}))
    return state


@given(ROWS, st.sampled_from(["max", "min"]))
def test_the_best_so_far_is_the_one_that_the_engine_would_choose(rows: Any, mode: Any) -> None:
    best = _state_of(rows, mode).find_best()
    judged = [(f"t{n}", status, {} if value is None else {"score": value}) for n, (status, value) in enumerate(rows)]
    finite = [trial for trial in judged if math.isfinite(trial[2].get("score", math.nan))]
    assert (best.trial_id if best else None) == outcomes.find_best_trial(finite, "score", mode)


@given(ROWS)
def test_running_trials_come_first_then_the_best(rows: Any) -> None:
    state = _state_of(rows)
    shown = state.top_trials(len(rows))
    assert {trial.trial_id for trial in shown} == set(state.trials)
    running = [trial.status == "RUNNING" for trial in shown]
    assert running == sorted(running, reverse=True)
    ended = [state.objective_value(trial) for trial in shown if trial.status in ("TERMINATED", "PAUSED")]
    known = [value for value in ended if value is not None]
    assert ended == [*sorted(known, reverse=True), *[None] * (len(ended) - len(known))]


@given(ROWS)
def test_ended_trials_are_counted_once(rows: Any) -> None:
    state = _state_of(rows)
    state.apply_event(events.trials_event(_table(rows).snapshot()))
    assert state.num_ended == sum(status in ("TERMINATED", "ERROR") for status, _ in rows)


def test_a_value_that_json_lacks_is_shown_by_its_name() -> None:
    state = _state_of([("TERMINATED", math.nan)])
    assert state.trials["t0"].metrics == {"score": "nan", "loss": 1}
    assert state.trials["t0"].hyperparameters == {"x": 0}
    assert state.find_best() is None


def test_the_chosen_trial_is_the_best_from_then_on() -> None:
    state = _state_of([("TERMINATED", 1.0), ("TERMINATED", 2.0)])
    state.apply_event(events.trials_event(_table([("TERMINATED", 1.0), ("TERMINATED", 2.0)]).snapshot("t0")))
    best = state.find_best()
    assert best is not None
    assert best.trial_id == "t0"


@pytest.mark.parametrize(
    "event",
    [
        events.progress_event("train", 1, 2, 0.9, 5.0),
        events.metric_event("a", "b", 1.0),
        events.trials_event({"trials": {}}),
    ],
)
def test_what_a_trial_says_of_itself_alone_is_left_out(event: Event) -> None:
    state = _state_of([("RUNNING", None)])
    state.apply_event(replace(event, trial_id="t0"))
    assert (state.overall, state.points, len(state.trials)) == (0.0, {}, 1)


def test_nothing_is_said_after_the_end() -> None:
    state = JobState()
    state.apply_event(events.message_event("before"))
    state.apply_event(events.status_event("SUCCEEDED"))
    state.apply_event(events.message_event("the run is complete", "success"))
    assert [event.data["content"] for event in state.messages] == ["before"]
