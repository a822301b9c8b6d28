"""The listener in Tune's loop: a study whose trials are all paused for good comes to an end."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trialrun.engine.preflight import build_study, prepare_job
from trialrun.executors.ray_tune.callback import STUCK_S, ListeningCallback
from trialrun.executors.stop_rules import StopRules
from trialrun.run_dir.run_config import RunConfig


class Deaf:
    """A listener that hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class Trials:
    """Trials by their statuses, and a clock that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        space = [{"name": "x", "type": "uniform", "min": 0, "max": 1}]
        config = {"metric": "loss", "mode": "min"}
        params = {"name": "s", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
        prepared = prepare_job(
            {"action": "train", "params": params}, plugin="pure", run_config=RunConfig(executor="inline")
        )
        study = build_study(prepared, results=folder)
        self.now = 0.0
        self.rules = StopRules(study.tune_config, lambda: self.now, threading.Event())
        self.ears = ListeningCallback(study, Deaf(), self.rules, clock=lambda: self.now)

    def step(self, *statuses: str, after: float = 0.0) -> str:
        self.now += after
        trials = [
            SimpleNamespace(trial_id=str(n), config={"x": 1}, status=s, is_finished=lambda s=s: s == "TERMINATED")
            for n, s in enumerate(statuses)
        ]
        self.ears.on_step_end(0, trials)
        assert self.ears.errors == []
        return self.rules.ended_by


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(tmp_path)


def test_a_new_trial_is_seen_when_tune_puts_one_that_failed_behind_it(trials: Trials) -> None:
    one, two, new = (SimpleNamespace(trial_id=name, config={"x": 1}) for name in ("one", "two", "new"))
    trials.ears.on_step_begin(0, [one, two])
    trials.ears.on_step_begin(0, [two, new, one])
    assert list(trials.ears.trials) == ["one", "two", "new"]


def test_trials_that_are_all_paused_for_long_end_the_study(trials: Trials) -> None:
    assert trials.step("PAUSED", "TERMINATED", "PAUSED") == ""
    assert trials.step("PAUSED", "TERMINATED", "PAUSED", after=STUCK_S) == ""
    said = trials.step("PAUSED", "TERMINATED", "PAUSED", after=1.0)
    assert said == "scheduler: fifo left 2 trials paused and runs none"


@pytest.mark.parametrize("other", ["RUNNING", "PENDING"])
def test_a_pause_while_anything_else_goes_on_is_none_of_that(trials: Trials, other: str) -> None:
    trials.step("PAUSED", "PAUSED")
    trials.step("PAUSED", other, after=STUCK_S * 2)
    assert trials.step("PAUSED", "PAUSED", after=STUCK_S * 2) == ""
    assert trials.step("TERMINATED", "TERMINATED", after=STUCK_S * 2) == ""
