"""The plan of a job, from the request alone."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.cli.job_plan import MEANINGS, build_plan, format_plan
from trialrun_hookspecs import DERIVED, DISTRIBUTIONS, Request, parse_request

SPACE: dict[str, dict[str, Any]] = {
    "uniform": {"min": 0.1, "max": 1},
    "quniform": {"min": 0, "max": 1, "q": 0.25},
    "loguniform": {"min": 0.0001, "max": 1, "base": 10},
    "qloguniform": {"min": 0.1, "max": 1, "q": 0.1, "base": 10},
    "randn": {"mean": 0, "sd": 2.5},
    "qrandn": {"mean": 0, "sd": 2, "q": 0.5},
    "randint": {"min": 1, "max": 10},
    "qrandint": {"min": 8, "max": 64, "q": 8},
    "lograndint": {"min": 1, "max": 1000, "base": 10},
    "qlograndint": {"min": 8, "max": 64, "q": 8, "base": 2},
    "choice": {"options": [1, "two", None, [3]]},
    "grid_search": {"options": [0.5, True]},
}
SAID = {
    "uniform": "from 0.1 to 1, uniform",
    "quniform": "multiples of 0.25 from 0 to 1, both included, uniform",
    "loguniform": "from 0.0001 to 1, uniform in the logarithm",
    "qloguniform": "multiples of 0.1 from 0.1 to 1, both included, uniform in the logarithm",
    "randn": "normal with mean 0 and standard deviation 2.5",
    "qrandn": "multiples of 0.5, normal with mean 0 and standard deviation 2",
    "randint": "integers from 1 to 9 (10 is left out), uniform",
    "qrandint": "multiples of 8 from 8 to 64, both included, uniform",
    "lograndint": "integers from 1 to 999 (1000 is left out), uniform in the logarithm",
    "qlograndint": "multiples of 8 from 8 to 64, both included, uniform in the logarithm",
    "choice": "one of 1, two, null, [3]",
    "grid_search": "each of 0.5, true",
}


def _request(*types: str, params: dict[str, Any] | None = None, **config: Any) -> Request:
    space = [{"name": f"a {kind}", "type": kind, **SPACE[kind]} for kind in types]
    given = {"name": "a job", "dataset": 1, "is_tune": True, "hyperparameters": space}
    given["tune_config"] = {"metric": "loss", "mode": "min", **config}
    return parse_request({"action": "train", "params": {**given, **(params or {})}})


def _planned(request: Request, executor: str = "ray", timing: Any = None, cpus: float = 4.0) -> dict[str, Any]:
    return build_plan(request, executor=executor, machine={"CPU": cpus, "GPU": 0.0}, timing=timing, warnings=[])


def test_every_distribution_has_a_meaning_in_words() -> None:
    assert set(MEANINGS) - set(DERIVED) == set(DISTRIBUTIONS) == set(SPACE)
    plan = _planned(_request(*DISTRIBUTIONS))
    assert {parameter["type"]: parameter["meaning"] for parameter in plan["space"]} == SAID


def test_a_grid_says_how_many_trials_it_makes() -> None:
    wide = {"name": "w", "type": "grid_search", "options": list(range(12))}
    plan = _planned(_request(params={"hyperparameters": [wide]}, num_samples=12))
    assert plan["trials"] == 144
    assert "  trials      grid 12 x 12 samples = 144" in format_plan(plan)
    assert any(line.startswith("warning: params.tune_config.num_samples") for line in format_plan(plan))


def test_a_plan_of_training_has_no_trials() -> None:
    job = {"action": "train", "params": {"name": "x", "dataset": 1, "hyperparameter": {"lr": 0.5}}}
    plan = _planned(parse_request(job))
    assert plan["trials"] is plan["search_alg"] is plan["scheduler"] is plan["resources"] is None
    assert (plan["mode"], plan["space"]) == ("training", [])
    assert format_plan(plan) == ["x: training", "  dataset     1", "  values      lr=0.5"]


@given(st.integers(1, 50), st.integers(1, 8), st.sampled_from([None, 1, 3]), st.floats(0.1, 100))
def test_the_estimate_is_rounds_times_seconds(samples: int, cpus: int, limit: int | None, seconds: float) -> None:
    config: dict[str, Any] = {"num_samples": samples, **({"max_concurrent_trials": limit} if limit else {})}
    plan = _planned(_request("uniform", **config), timing=(seconds, "--trial-seconds"), cpus=cpus)
    at_once = plan["resources"]["at_once"]
    assert at_once == min(cpus, limit or cpus, samples)
    assert plan["estimate"]["seconds"] == pytest.approx(-(-samples // at_once) * seconds, abs=0.06)


def test_inline_runs_one_at_a_time() -> None:
    plan = _planned(_request("uniform", num_samples=3), executor="inline", timing=(2.0, "x"))
    assert plan["estimate"]["seconds"] == 6.0


def test_a_time_budget_bounds_the_estimate() -> None:
    plan = _planned(_request("uniform", num_samples=100, time_budget_s=30), timing=(60.0, "x"))
    assert plan["estimate"]["seconds"] == 30
    assert plan["settings"] == {"time_budget_s": 30}


def test_fractions_of_a_cpu_let_more_run_at_once() -> None:
    plan = _planned(_request("uniform", num_samples=100, params={"num_cpus": 0.5}), cpus=2)
    assert plan["resources"] == {"num_cpus": 0.5, "num_gpus": 0.0, "custom": {}, "workers": None, "at_once": 4}


def test_a_trial_too_large_for_this_machine_draws_a_warning() -> None:
    plan = _planned(_request("uniform", params={"num_cpus": 64, "num_gpus": 1}))
    assert [warning.partition(":")[0] for warning in plan["warnings"]] == ["params.num_cpus", "params.num_gpus"]


def test_workers_count_into_what_fits_at_once() -> None:
    params = {"num_cpus": 0.5, "workers": {"count": 3, "num_cpus": 0.5, "strategy": "STRICT_PACK"}}
    plan = _planned(_request("uniform", num_samples=9, params=params), cpus=5)
    assert plan["resources"]["at_once"] == 2
    assert "  workers     3 per trial, each 0.5 CPU, STRICT_PACK" in format_plan(plan)


def test_what_this_machine_cannot_hold_names_the_key_to_change() -> None:
    params = {"resources": {"disk": 2, "memory": 1e9}, "workers": {"count": 4}}
    plan = _planned(_request("uniform", params=params), cpus=4)
    assert "  resources   1 CPU, 2 disk, 1e+09 memory per trial, one at a time" in format_plan(plan)
    assert [warning.partition(":")[0] for warning in plan["warnings"]] == ["params.num_cpus", "params.resources"]
    apart = _planned(_request("uniform", params={"workers": {"count": 1, "strategy": "STRICT_SPREAD"}}), cpus=4)
    assert [warning.partition(":")[0] for warning in apart["warnings"]] == ["params.workers.strategy"]


def test_a_plan_is_json_whatever_the_job_says() -> None:
    plan = _planned(_request(*DISTRIBUTIONS, stop={"loss": 1}, search_alg={"name": "x", "options": {"a": None}}))
    assert json.loads(json.dumps(plan, allow_nan=False)) == plan


@given(st.text(min_size=1).filter(str.strip), st.randoms())
def test_names_cannot_control_the_terminal(name: str, rng: random.Random) -> None:
    plan = _planned(_request(rng.choice(list(SPACE)), params={"name": name}, metric=name, scheduler=name))
    assert all(character.isprintable() or character == "\u200d" for line in format_plan(plan) for character in line)


def test_a_scheduler_that_stops_early_makes_it_a_bound() -> None:
    plan = _planned(_request("uniform", scheduler="asha"), timing=(3.0, "a-job-1"))
    assert any("at most about 3 s: 3 s a trial, as in a-job-1" in line for line in format_plan(plan))


def test_every_parameter_says_what_it_is_searched_as() -> None:
    plan = _planned(_request(*DISTRIBUTIONS, search_alg="bayesoptsearch"))
    assert {p["type"]: p["seen_as"] for p in plan["space"]} == {
        "uniform": "real",
        "quniform": "real, by steps",
        "loguniform": "real, in its logarithm",
        "qloguniform": "real, in its logarithm, by steps",
        "randn": "real, in its quantile",
        "qrandn": "real, in its quantile, by steps",
        "randint": "integer",
        "qrandint": "integer",
        "lograndint": "real, in its logarithm, by steps",
        "qlograndint": "real, in its logarithm, by steps",
        "choice": "category, 4 options",
        "grid_search": "walked, every option",
    }
    assert "  parameter      type         bayesoptsearch searches           values" in format_plan(plan)


def test_the_plan_says_what_else_the_job_could_name_and_why_not_the_rest() -> None:
    plan = _planned(_request("uniform", search_alg="hyperoptsearch"))
    assert plan["fits"]["scheduler"]["asha"] == []
    lines = format_plan(plan)
    assert "  schedulers  fifo, asha, hyperband, median" in lines
    assert any(line.strip().startswith("not pbt, pb2: changes values of running trials") for line in lines)
    gridded = _planned(_request("grid_search"))
    assert "  algorithms  basicvariantgenerator" in format_plan(gridded)


def test_inline_plans_no_scheduler_but_fifo() -> None:
    plan = _planned(_request("uniform"), executor="inline")
    assert [name for name, against in plan["fits"]["scheduler"].items() if not against] == ["fifo"]


def test_what_max_t_was_taken_from_and_a_bracket_that_is_too_large_are_told() -> None:
    plan = _planned(
        _request("uniform", scheduler="hyperband", stop={"training_iteration": 27}, max_concurrent_trials=2)
    )
    assert plan["scheduler"]["options"] == {"max_t": 27}
    assert any("taken from tune_config.stop.training_iteration" in warning for warning in plan["warnings"])
    assert any("hyperband will stop nothing" in warning for warning in plan["warnings"])
