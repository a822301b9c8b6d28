"""Values that PBT and PB2 change stay in the job's space."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers.pbt import _explore

from trialrun.executors.ray_tune.mutations import build_mutation_options, project_value
from trialrun.space import Space, flatten_values, nest_values
from trialrun_hookspecs.parsing import parse_request
from trialrun_hookspecs.request import Params

SPACE: list[dict[str, Any]] = [
    {"name": "lr", "type": "loguniform", "min": 0.001, "max": 0.1, "base": 10},
    {"name": "net/units", "type": "qlograndint", "min": 8, "max": 64, "q": 8, "base": 2},
    {"name": "net/layers", "type": "randint", "min": 1, "max": 4},
    {"name": "drop", "type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
    {"name": "noise", "type": "qrandn", "mean": 0.0, "sd": 1.0, "q": 0.5},
    {"name": "act", "type": "choice", "options": ["relu", {"leaky": 0.1}, None]},
    {"name": "epochs", "type": "choice", "options": [5]},
]


def params(scheduler: str, space: list[dict[str, Any]]) -> Params:
    config = {"metric": "m", "mode": "max", "scheduler": scheduler}
    job = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    return parse_request({"action": "train", "params": job}).params


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_ten_generations_of_pbt_stay_in_the_space(seed: int) -> None:
    given = params("pbt", SPACE)
    space = Space(given.hyperparameters or ())
    options = build_mutation_options(given, space)
    random.seed(seed)
    config = nest_values(space.sample(random.Random(seed)))
    factors: Any = (1.2, 0.8)  # Ray annotates a tuple of one
    for _ in range(10):
        config, _ = _explore(config, options["hyperparam_mutations"], 0.25, factors, options["custom_explore_fn"])
        flat = flatten_values(config, space.names)
        assert flat.keys() == set(space.names)
        for name, value in flat.items():
            assert space.contains(name, value), (name, value)
            assert type(value) in (int, float, str, dict, type(None)), (name, type(value))
    assert config["epochs"] == 5


def test_pb2_is_given_the_bounds_of_the_numbers() -> None:
    given = params("pb2", [SPACE[0], SPACE[3], SPACE[5]])
    options = build_mutation_options(given, Space(given.hyperparameters or ()))
    assert options["hyperparam_bounds"] == {"lr": [0.001, 0.1], "drop": [0.0, 0.5]}
    explored = options["custom_explore_fn"]({"lr": 0.5, "drop": 0.2333, "act": "relu"})
    assert explored == {"lr": 0.1, "drop": 0.2, "act": "relu"}


@pytest.mark.parametrize("scheduler", ["fifo", "asha", "hyperband", "median"])
def test_other_schedulers_change_nothing(scheduler: str) -> None:
    given = params(scheduler, SPACE)
    assert build_mutation_options(given, Space(given.hyperparameters or ())) == {}


@given(index=st.sampled_from(range(5)), value=st.floats(-1e6, 1e6))
def test_a_projected_value_is_in_the_space_and_projecting_again_changes_nothing(index: int, value: float) -> None:
    given = params("pbt", SPACE)
    space = Space(given.hyperparameters or ())
    name = space.names[index]
    once = project_value(space.distributions[name], value)
    assert space.contains(name, once)
    assert project_value(space.distributions[name], once) == once
