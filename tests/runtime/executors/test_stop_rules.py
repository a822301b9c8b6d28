"""The rules that end trials and studies."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.executors.stop_rules import StopRules
from trialrun_hookspecs.request import TuneConfig


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rules(clock: Clock | None = None, history: Any = None, stoppers: Any = (), **config: Any) -> StopRules:
    made = TuneConfig.model_validate({"metric": "m", "mode": "max", **config})
    return StopRules(made, clock or Clock(), threading.Event(), history, stoppers)


def test_stop_goes_by_any_metric_that_reaches_its_value() -> None:
    stop = rules(stop={"training_iteration": 3, "val/loss": 0.5})
    assert stop.check_trial("a", {"m": 1, "training_iteration": 2}) == ""
    assert stop.check_trial("a", {"m": 1, "training_iteration": 3}) == "stop: training_iteration reached 3"
    assert stop.check_trial("b", {"m": 1, "val": {"loss": 0.5}}) == "stop: val/loss reached 0.5"
    assert set(stop.reasons) == {"a", "b"}
    assert stop.missing_metrics == []


def test_a_stop_metric_that_nobody_reports_is_told() -> None:
    stop = rules(stop={"accuarcy": 0.9})
    stop.check_trial("a", {"m": 1, "accuracy": 1.0})
    assert stop.missing_metrics == ["accuarcy"]


@pytest.mark.parametrize(("mode", "short", "reached"), [("max", 0.89, 0.9), ("min", 0.91, 0.9)])
def test_target_ends_the_study_in_both_modes(mode: str, short: float, reached: float) -> None:
    stop = rules(mode=mode, target=0.9)
    stop.check_trial("a", {"m": short})
    assert stop.ended_by == ""
    stop.check_trial("a", {"m": reached})
    assert stop.ended_by == "target: m reached 0.9"


def test_the_time_budget_ends_the_study() -> None:
    clock = Clock()
    stop = rules(clock, time_budget_s=10)
    clock.now += 9.9
    assert stop.ended_by == ""
    clock.now += 0.1
    assert stop.ended_by == "time_budget_s: 10 s are over"


def test_an_interrupt_comes_before_every_other_reason() -> None:
    stop = rules(target=0.0)
    stop.check_trial("a", {"m": 1})
    stop.interrupted.set()
    assert stop.ended_by == "interrupted"


def test_a_trial_ends_when_it_does_not_improve_for_its_patience() -> None:
    stop = rules(plateau={"trial": {"patience": 2, "min_delta": 0.1, "grace_period": 3}})
    said = [stop.check_trial("a", {"m": value}) for value in (1.0, 1.05, 1.1, 1.05)]
    assert said == ["", "", "", "plateau.trial: m did not improve in 3 reports"]
    assert stop.check_trial("b", {"m": 0.0}) == ""


def test_the_study_ends_when_new_trials_do_not_improve_on_the_best() -> None:
    stop = rules(mode="min", plateau={"study": {"patience": 2}})
    for value in (3.0, 2.0, None, 2.5):
        stop.record_trial_end(value)
        assert stop.ended_by == ""
    stop.record_trial_end(2.0)
    assert stop.ended_by == "plateau.study: m did not improve in 2 trials"


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=30), patience=st.integers(1, 5))
def test_a_trial_that_always_improves_never_meets_a_plateau(values: list[float], patience: int) -> None:
    stop = rules(plateau={"trial": {"patience": patience}})
    rising = sorted(set(values))
    assert [stop.check_trial("a", {"m": value}) for value in rising] == [""] * len(rising)
