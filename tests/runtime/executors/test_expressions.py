"""Values that depend on others: under every algorithm, on both executors."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from trialrun.space import Space
from trialrun_hookspecs import parse_request
from trialrun_hookspecs.errors import AllTrialsFailed, BadValue, RequestInvalid

from .conftest import BOTH, Study

Tuned = Callable[..., Study]

SPACE: list[dict[str, Any]] = [
    {"name": "double", "type": "expression", "expression": "2 * half * 4"},
    {"name": "n", "type": "uniform", "min": 1, "max": 3},
    {"name": "half", "type": "expression", "expression": "n / 2 + layers.size"},
    {"name": "layers/size", "type": "choice", "options": [8, 16]},
    {"name": "layers/kinds", "type": "constant", "value": ["a", {"b": 1}]},
]
ALGORITHMS = ["basicvariantgenerator", "bayesoptsearch", "hyperoptsearch", "optunasearch"]


def checked(config: dict[str, Any]) -> None:
    assert config["half"] == config["n"] / 2 + config["layers/size"]
    assert config["double"] == 8 * config["half"]
    assert config["layers/kinds"] == ["a", {"b": 1}]
    assert list(config) == [item["name"] for item in SPACE]


@pytest.mark.parametrize(
    ("executor", "algorithm"),
    [
        *(pytest.param("inline", name, id=f"inline-{name}") for name in ALGORITHMS),
        pytest.param("ray", "basicvariantgenerator", id="ray-random", marks=pytest.mark.ray),
        pytest.param("ray", "hyperoptsearch", id="ray-hyperopt", marks=pytest.mark.ray),
    ],
)
def test_expressions_follow_what_was_searched(tuned: Tuned, executor: str, algorithm: str) -> None:
    first = {"n": 2.5, "layers": {"size": 8}}
    search = {"name": algorithm, "points_to_evaluate": [first]}
    at_a_time = 3 if algorithm == "hyperoptsearch" else 1  # one: on Ray, a single worker runs them all
    study = tuned("leaky", SPACE, executor=executor, num_samples=3, search_alg=search, max_concurrent_trials=at_a_time)
    folders = list((study.folder / "trials").iterdir())
    assert len(folders) == 3
    seen = []
    for folder in folders:
        nested = json.loads((folder / "config.json").read_text())
        seen.append(nested["n"])
        flat = {**nested, "layers/size": nested["layers"]["size"], "layers/kinds": nested["layers"]["kinds"]}
        checked({item["name"]: flat[item["name"]] for item in SPACE})
    assert 2.5 in seen
    assert study.result.best_trial is not None
    checked(study.result.best_trial.config)


@pytest.mark.parametrize("executor", BOTH)
def test_an_expression_that_cannot_be_calculated_fails_its_trial(tuned: Tuned, executor: str) -> None:
    space = [
        {"name": "n", "type": "grid_search", "options": [0]},
        {"name": "x", "type": "expression", "expression": "1 / n"},
    ]
    with pytest.raises(AllTrialsFailed, match=r"hyperparameter 'x': its expression .*division by zero.*got n=0"):
        tuned("leaky", space, executor=executor)


def test_a_scheduler_that_changes_a_value_changes_what_follows() -> None:
    space = Space(parse_request(_job(SPACE)).params.hyperparameters or ())
    before = space.complete_values(space.sample(random.Random(1)))
    after = space.complete_values({**before, "n": 3.0})
    checked(before)
    checked(after)
    assert after["double"] != before["double"]
    assert space.encode(after).keys() == {"n", "layers/size"}
    with pytest.raises(BadValue, match="text"):
        Space(
            parse_request(
                _job(
                    [
                        *SPACE,
                        {"name": "bad", "type": "expression", "expression": "kind * 2"},
                        {"name": "kind", "type": "constant", "value": "text"},
                    ]
                )
            ).params.hyperparameters
            or ()
        ).complete_values(before)


def _job(space: list[dict[str, Any]]) -> dict[str, Any]:
    config = {"metric": "loss", "mode": "min"}
    return {
        "action": "train",
        "params": {"name": "x", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config},
    }


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("2 * m", r"params.hyperparameters\[1\].expression: there is no hyperparameter 'm'.*Known: n, x, y"),
        ("2 * x", "'x' must not depend on itself"),
        ("y + 1", "'x' must not depend on itself"),
        ("__import__('os')", "knows the functions"),
        ("2 *", "must be arithmetic"),
        (3, "must be a string"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(expression: Any, said: str) -> None:
    space = [
        {"name": "n", "type": "uniform", "min": 1, "max": 3},
        {"name": "x", "type": "expression", "expression": expression},
        {"name": "y", "type": "expression", "expression": "x + n"},
    ]
    with pytest.raises(RequestInvalid, match=said):
        parse_request(_job(space))


def test_a_space_without_anything_to_search_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="at least one hyperparameter must be searched"):
        parse_request(_job([{"name": "n", "type": "constant", "value": 1}]))
