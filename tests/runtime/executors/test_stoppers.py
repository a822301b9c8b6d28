"""Stoppers of plugins, alone and in studies on both executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import pytest

import trialrun
from trialrun.executors.stoppers import isolate_stoppers
from trialrun.recorder import Recorder
from trialrun.run_dir.history import StudyHistory
from trialrun_hookspecs import PluginRefused, hookimpl

from .conftest import BOTH, ROWS
from .test_stop_rules import rules


def stoppers_of(*offered: Any, warnings: list[str] | None = None) -> Any:
    warn = (warnings if warnings is not None else []).append
    return isolate_stoppers([("theirs", stopper) for stopper in offered], warn)


def third(trial_id: str, result: dict[str, Any]) -> bool:
    return bool(result["training_iteration"] >= 3)


def broken(trial_id: str, result: dict[str, Any]) -> bool:
    raise ValueError("no such metric")


class Counting:
    """Ends the study after so many results."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.most -= 1
        result.clear()  # its own copy
        return False

    def stop_all(self) -> bool:
        return self.most <= 0


def test_a_function_ends_a_trial_and_is_named_as_the_reason() -> None:
    stop = rules(stoppers=stoppers_of(third))
    assert stop.check_trial("a", {"m": 1, "training_iteration": 2}) == ""
    assert stop.check_trial("a", {"m": 1, "training_iteration": 3}) == "stopper: third ended it"
    assert stop.reasons == {"a": "stopper: third ended it"}


def test_an_object_ends_the_study_and_is_named_as_the_reason() -> None:
    stop = rules(stoppers=stoppers_of(Counting(2)))
    stop.check_trial("a", {"m": 1})
    assert stop.ended_by == ""
    stop.check_trial("b", {"m": 1})
    assert stop.ended_by == "stopper: Counting ended the study"


def test_a_stopper_sees_every_result_though_another_rule_ends_the_trial() -> None:
    counting = Counting(2)
    stop = rules(stop={"m": 1}, stoppers=stoppers_of(counting))
    assert stop.check_trial("a", {"m": 1}) == "stop: m reached 1"
    assert counting.most == 1


def test_one_that_raises_is_told_of_once_while_the_others_go_on() -> None:
    warnings: list[str] = []
    stop = rules(stoppers=stoppers_of(broken, third, warnings=warnings))
    assert stop.check_trial("a", {"m": 1, "training_iteration": 3}) == "stopper: third ended it"
    assert stop.check_trial("b", {"m": 1, "training_iteration": 1}) == ""
    assert warnings == ["stopper broken of plugin 'theirs' raised and is switched off: ValueError('no such metric')"]


def test_a_study_that_goes_on_shows_its_stoppers_what_was() -> None:
    counting = Counting(3)
    history = StudyHistory(results=(("a", 1, {"m": 1.0}), ("a", 2, {"m": 1.0})))
    stop = rules(history=history, stoppers=stoppers_of(counting))
    assert (counting.most, stop.reasons) == (1, {})


@pytest.fixture
def stopped(tmp_path: Path) -> Callable[..., Any]:
    """Run a study of four trials of four epochs with these stoppers; give its result and the warnings."""

    def run(executor: Literal["ray", "inline"], *offered: Any) -> tuple[Any, list[str]]:
        class Plugin:
            @hookimpl
            def stoppers(self) -> Iterable[Any]:
                return offered

        space = [
            {"name": "learning_rate", "type": "uniform", "min": 0.01, "max": 0.02},
            {"name": "epochs", "type": "choice", "options": [4]},
        ]
        config = {"metric": "loss", "mode": "min", "num_samples": 4, "seed": 1, "max_concurrent_trials": 1}
        params = {"name": "x", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
        job = {"action": "train", "params": params}
        folder = tmp_path / "results"
        result = trialrun.run(
            job, plugin="pure", plugins=[Plugin()], datasets={1: ROWS}, executor=executor, results=folder
        )
        with Recorder.open(Path(result.results_dir) / "recorder.sqlite") as recorder:
            return result, [message["content"] for message in recorder.messages()]

    return run


@pytest.mark.parametrize("executor", BOTH)
def test_stoppers_of_both_kinds_end_trials_and_the_study(stopped: Callable[..., Any], executor: str) -> None:
    result, _ = stopped(executor, third, Counting(7))
    assert result.ended_by == "stopper: Counting ended the study"
    reasons = list(result.ended_early.values())
    assert reasons == ["stopper: third ended it"] * 2 + ["stopper: Counting ended the study"]
    assert [model.metrics["epoch"] for model in result.trial_models] == [3, 3, 1]


@pytest.mark.parametrize("executor", BOTH)
def test_a_stopper_that_raises_leaves_the_study_whole(stopped: Callable[..., Any], executor: str) -> None:
    result, messages = stopped(executor, broken)
    assert (result.ended_by, result.ended_early) == ("", {})
    assert len(result.trial_models) == 4
    assert [m for m in messages if "stopper" in m] == [
        "stopper broken of plugin 'Plugin' raised and is switched off: ValueError('no such metric')"
    ]


@pytest.mark.ray
def test_a_stopper_of_ray_is_a_stopper(stopped: Callable[..., Any]) -> None:
    from ray.tune.stopper import MaximumIterationStopper

    result, _ = stopped("ray", MaximumIterationStopper(2))
    assert set(result.ended_early.values()) == {"stopper: MaximumIterationStopper ended it"}
    assert [model.metrics["epoch"] for model in result.trial_models] == [2] * 4


def test_what_cannot_be_called_is_refused_before_anything_starts(stopped: Callable[..., Any]) -> None:
    with pytest.raises(PluginRefused, match=r"stoppers\(\): it must return an iterable of callables, got 3"):
        stopped("inline", 3)
