"""The scheduler hook."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from trialrun_hookspecs import UsageError
from trialrun_reference.patience import schedulers


def make(**options: Any) -> Any:
    return schedulers()["patience"](**{"metric": "loss", "mode": "min", **options})


def decide(scheduler: Any, values: list[Any], trial_id: str = "t1") -> list[str]:
    trial = SimpleNamespace(trial_id=trial_id)
    return [scheduler.on_trial_result(None, trial, {} if v is None else {"loss": v}) for v in values]


def test_it_is_a_scheduler_of_ray() -> None:
    assert isinstance(make(), TrialScheduler)


def test_a_trial_stops_after_that_many_results_without_improvement() -> None:
    assert decide(make(patience=2), [3, 2, 2, 1, 1, 5]) == ["CONTINUE"] * 5 + ["STOP"]


def test_in_mode_max_more_is_better() -> None:
    assert decide(make(mode="max", patience=1), [1, 2, 3, 3]) == ["CONTINUE"] * 3 + ["STOP"]


def test_small_gains_do_not_count() -> None:
    assert decide(make(patience=1, min_delta=0.5), [3, 2, 1.6]) == ["CONTINUE", "CONTINUE", "STOP"]


@pytest.mark.parametrize("value", [math.nan, None, "low", math.inf])
def test_a_result_without_a_usable_metric_is_no_improvement(value: object) -> None:
    assert decide(make(patience=2), [value, value]) == ["CONTINUE", "STOP"]


def test_trials_are_judged_by_themselves() -> None:
    scheduler = make(patience=1)
    assert decide(scheduler, [1], "good") == decide(scheduler, [9], "bad") == ["CONTINUE"]
    assert decide(scheduler, [8], "bad") == ["CONTINUE"]


def test_an_ended_trial_is_forgotten() -> None:
    scheduler, trial = make(patience=1), SimpleNamespace(trial_id="t1")
    decide(scheduler, [1])
    scheduler.on_trial_complete(None, trial, {})
    assert decide(scheduler, [5]) == ["CONTINUE"]


def test_the_objective_may_be_given_twice_but_not_changed() -> None:
    assert make().set_search_properties("loss", "min")
    assert make().set_search_properties(None, None)
    assert not make().set_search_properties("accuracy", "min")
    assert not make().set_search_properties("loss", "max")
    late = make(metric=None, mode=None, patience=1)
    assert late.set_search_properties("loss", "min")
    assert late.metric == "loss"
    assert decide(late, [2, 1, 1]) == ["CONTINUE", "CONTINUE", "STOP"]


def test_it_can_be_pickled() -> None:
    scheduler = make(patience=1)
    decide(scheduler, [1])
    assert decide(pickle.loads(pickle.dumps(scheduler)), [1]) == ["STOP"]


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        make(patience=0, min_delta=-1, grace=3)
    wheres = {problem.where for problem in caught.value.problems}
    assert wheres == {f"scheduler.options.{name}" for name in ("patience", "min_delta", "grace")}


def test_offering_the_name_imports_no_ray() -> None:
    code = "import sys; from trialrun_reference import patience; patience.schedulers(); print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
