"""The table of what can be combined: its problems, and what is filled in from elsewhere in the job."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.compat import ALGORITHMS, SCHEDULERS, fill_max_t, find_incompatibilities, halving_bracket, list_hints
from trialrun_hookspecs.parsing import parse_request
from trialrun_hookspecs.request import Request

UNIFORM = {"name": "x", "type": "uniform", "min": 0, "max": 1}
GRID = {"name": "g", "type": "grid_search", "options": [1, 2]}
CHOICE = {"name": "c", "type": "choice", "options": ["a", "b"]}
NESTED = {"name": "a/b", "type": "uniform", "min": 0, "max": 1}


def job(*space: dict[str, Any], **config: Any) -> Request:
    tune_config = {"metric": "m", "mode": "max", **config}
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": list(space), "tune_config": tune_config}
    return parse_request({"action": "train", "params": params})


def problems(*space: dict[str, Any], **config: Any) -> list[tuple[str, str]]:
    return [(p.where.removeprefix("params."), p.rule) for p in find_incompatibilities(job(*space, **config).params)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_random_search_walks_a_grid(algorithm: str) -> None:
    found = problems(GRID, UNIFORM, search_alg=algorithm)
    assert (found == []) is ALGORITHMS[algorithm].grid
    assert all("cannot search a grid" in rule and where == "hyperparameters[0].type" for where, rule in found)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_an_algorithm_that_learns_refuses_a_scheduler_that_changes_values(scheduler: str) -> None:
    found = problems(UNIFORM, search_alg="hyperoptsearch", scheduler={"name": scheduler, "options": {"max_t": 5}})
    assert any("cannot follow" in rule for _, rule in found) is SCHEDULERS[scheduler].mutates


@pytest.mark.parametrize(
    ("space", "scheduler", "said"),
    [
        ([GRID], "pbt", "no hyperparameter that it could change"),
        ([CHOICE], "pb2", "no hyperparameter that it could change"),
        ([NESTED], "pb2", "no nested names"),
        ([UNIFORM], "asha", "how many reports"),
        ([UNIFORM], "hyperband", "how many reports"),
    ],
)
def test_what_a_scheduler_cannot_do_with_a_job_is_said(space: list[Any], scheduler: str, said: str) -> None:
    assert [rule for _, rule in problems(*space, scheduler=scheduler) if said in rule]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
def test_max_t_comes_visibly_from_stop_or_epochs_or_is_asked_for(scheduler: str) -> None:
    epochs = {"name": "epochs", "type": "choice", "options": [5, 20]}
    filled, note = fill_max_t(job(UNIFORM, epochs, scheduler=scheduler))
    assert filled.params.tuning.scheduler.options == {"max_t": 20}
    assert "epochs" in note
    assert list(find_incompatibilities(filled.params)) == []
    filled, note = fill_max_t(job(UNIFORM, epochs, scheduler=scheduler, stop={"training_iteration": 7}))
    assert filled.params.tuning.scheduler.options == {"max_t": 7}
    assert "stop" in note
    given_by_user = job(UNIFORM, epochs, scheduler={"name": scheduler, "options": {"max_t": 3}})
    assert fill_max_t(given_by_user) == (given_by_user, "")
    by_time = job(UNIFORM, scheduler={"name": scheduler, "options": {"time_attr": "time_total_s"}})
    assert fill_max_t(by_time) == (by_time, "")
    assert list(find_incompatibilities(by_time.params)) == []


@given(max_t=st.integers(2, 500), eta=st.integers(2, 5))
def test_brackets_are_as_large_as_rays(max_t: int, eta: int) -> None:
    from ray.tune.schedulers import HyperBandScheduler

    scheduler = HyperBandScheduler(max_t=max_t, reduction_factor=eta)
    whole, kept = halving_bracket(max_t, eta)
    assert whole == scheduler._get_n0(0)
    assert kept == (math.ceil(scheduler._get_n0(1) / eta) if scheduler._s_max_1 > 1 else 0)


@pytest.mark.parametrize(("trials", "at_once"), [(12, 2), (12, 3), (6, None), (5, None), (8, None), (12, None)])
def test_hyperband_is_said_to_stop_nothing_when_ray_s_own_stops_nothing(trials: int, at_once: int | None) -> None:
    """HyperBand's brackets fed by hand: as many trials at once as allowed; each reports and waits while paused."""
    from ray.tune.schedulers import HyperBandScheduler

    scheduler = HyperBandScheduler(max_t=9, reduction_factor=3)
    scheduler.set_search_properties("m", "max")
    whole, _ = halving_bracket(9, 3)
    config = {"num_samples": trials, **({"max_concurrent_trials": at_once} if at_once else {})}
    options = {"name": "hyperband", "options": {"max_t": 9}}
    told = list_hints(job(UNIFORM, scheduler=options, **config))
    made = scheduler._create_bracket(1)
    live = [object() for _ in range(min(trials - whole, at_once or trials, made._n))]
    for value, trial in enumerate(live):
        made.add_trial(trial)
        made._live_trials[trial] = {"training_iteration": 3, "m": value}
    _, bad = made.successive_halving("m", 1.0)
    assert bool(told) is (not bad)


def test_a_bracket_that_can_never_be_halved_is_told() -> None:
    hyperband = {"name": "hyperband", "options": {"max_t": 100}}
    (hint,) = list_hints(job(UNIFORM, scheduler=hyperband, num_samples=50, max_concurrent_trials=3))
    assert "keeps 3 trials" in hint
    (hint,) = list_hints(job(UNIFORM, scheduler=hyperband, num_samples=6))
    assert "runs 5 trials whole" in hint
    (hint,) = list_hints(job(UNIFORM, scheduler={"name": "hyperband", "options": {"max_t": 1}}, num_samples=50))
    assert "too small" in hint
    assert list_hints(job(UNIFORM, scheduler=hyperband, num_samples=50)) == []
    assert list_hints(job(UNIFORM, scheduler=hyperband, num_samples=50, max_concurrent_trials=8)) == []
    training = parse_request({"action": "train", "params": {"name": "n", "dataset": 1, "hyperparameter": {}}})
    assert list_hints(training) == []
