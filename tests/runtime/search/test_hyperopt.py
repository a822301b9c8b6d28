"""The door to hyperopt: it learns, minds the mode, takes any space, and checks its options."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import pytest

from trialrun.search.hyperopt import OPTIONS, make
from trialrun.space import Category, Integer, Primitive, Real
from trialrun_hookspecs import RequestInvalid

UNIT: dict[str, Primitive] = {"x": Real(low=-5.0, high=5.0), "y": Integer(low=0, high=20), "z": Category(size=3)}


def loss(point: dict[str, Any]) -> float:
    return float((point["x"] - 2) ** 2 + (point["y"] - 7) ** 2 / 10 + 3 * (point["z"] != 1))


def best_of(trials: int, seed: int, *, sign: float = 1.0, **options: Any) -> float:
    algorithm = make(UNIT, mode="min" if sign > 0 else "max", seed=seed, options=options)
    losses = []
    for index in range(trials):
        point = algorithm.ask(f"t{index}")
        losses.append(loss(point))
        algorithm.tell(f"t{index}", sign * losses[-1])
    return min(losses)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["min", "max"])
def test_it_beats_random_search(sign: float) -> None:
    learnt = median(best_of(45, seed, sign=sign) for seed in range(5))
    random = median(best_of(45, seed, sign=sign, n_initial_points=45) for seed in range(5))
    assert learnt < random / 2


def test_the_wrong_mode_would_make_it_worse() -> None:
    algorithm = make(UNIT, mode="max", seed=0, options={})
    losses = []
    for index in range(60):
        losses.append(loss(algorithm.ask(f"t{index}")))
        algorithm.tell(f"t{index}", losses[-1])
    assert median(losses[40:]) > median(losses[:20])


@pytest.mark.parametrize(
    "primitive",
    [
        Real(low=0.0, high=5e-324),
        Real(low=1.0, high=1.0),
        Real(low=-1e300, high=1e300),
        Integer(low=3, high=3),
        Integer(low=-(2**53), high=2**53),
        Category(size=1),
    ],
    ids=str,
)
def test_a_space_of_any_width_is_searched(primitive: Primitive) -> None:
    algorithm = make({"x": primitive}, mode="min", seed=0, options={"n_initial_points": 5})
    low, high = (0, primitive.size - 1) if isinstance(primitive, Category) else (primitive.low, primitive.high)
    for index in range(30):
        value = algorithm.ask(f"t{index}")["x"]
        assert low <= value <= high
        assert type(value) is (float if isinstance(primitive, Real) else int)
        algorithm.tell(f"t{index}", float(index % 5))


def test_the_ends_of_an_integer_are_as_likely_as_the_rest() -> None:
    algorithm = make({"x": Integer(low=1, high=4)}, mode="min", seed=0, options={"n_initial_points": 1000})
    seen = [algorithm.ask(f"t{index}")["x"] for index in range(400)]
    assert all(70 < seen.count(value) < 130 for value in (1, 2, 3, 4))


def test_a_value_asked_for_is_given() -> None:
    algorithm = make(UNIT, mode="min", seed=0, options={})
    point = algorithm.ask("t0", {"x": 0.1, "y": 20})
    assert (point["x"], point["y"]) == (0.1, 20)
    assert point["z"] in (0, 1, 2)


def test_a_failed_trial_is_no_good_one() -> None:
    failed, good = (make(UNIT, mode="min", seed=0, options={"n_initial_points": 2}) for _ in range(2))
    for algorithm, value in ((failed, None), (good, -100.0)):
        for index in range(10):
            algorithm.ask(f"t{index}")
            algorithm.tell(f"t{index}", value if index == 0 else float(index))
    assert failed.ask("next") != good.ask("next")


def test_trials_keep_their_place_through_a_restore_after_failures() -> None:
    one, other = (make(UNIT, mode="min", seed=seed, options={"n_initial_points": 3}) for seed in (0, 1))
    for index in range(8):
        one.ask(f"t{index}")
        if index < 6:
            one.tell(f"t{index}", None if index in (1, 4) else float(index))
    other.restore(json.loads(json.dumps(one.state())))
    for algorithm in (one, other):
        algorithm.tell("t7", -50.0)
        algorithm.tell("t6", None)
    assert [other.ask(f"n{i}") for i in range(6)] == [one.ask(f"n{i}") for i in range(6)]
    assert other.state() == one.state()


@pytest.mark.parametrize(
    ("options", "where", "rule", "fix"),
    [
        ({"gama": 0.3}, "gama", "hyperoptsearch has no such option", "Did you mean 'gamma'?"),
        ({"zzz": 1}, "zzz", "hyperoptsearch has no such option", f"Known: {', '.join(OPTIONS)}."),
        ({"n_initial_points": 0}, "n_initial_points", "must be a whole number of at least 1", "The default is 20."),
        ({"n_initial_points": 2.5}, "n_initial_points", "must be a whole number of at least 1", "The default is 20."),
        ({"n_EI_candidates": True}, "n_EI_candidates", "must be a whole number of at least 1", "The default is 24."),
        ({"gamma": "1"}, "gamma", "must be a finite number above 0", "The default is 0.25."),
        ({"prior_weight": -1}, "prior_weight", "must be a finite number above 0", "The default is 1.0."),
    ],
)
def test_a_bad_option_is_refused_with_path_and_remedy(options: Any, where: str, rule: str, fix: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        make(UNIT, mode="min", seed=0, options=options)
    (problem,) = caught.value.problems
    assert problem.where == f"params.tune_config.search_alg.options.{where}"
    assert (problem.rule, problem.fix) == (rule, fix)
