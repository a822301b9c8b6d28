"""The door to bayesian-optimization: it learns, stays in the space, minds what is running, resumes from its state."""

from __future__ import annotations

import itertools
import json
import random
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.search import gaussian
from trialrun.search.bayesopt import make
from trialrun.space import Category, Integer, Primitive, Real
from trialrun_hookspecs import RequestInvalid

MIXED: dict[str, Primitive] = {
    "lr": Real(low=-9.0, high=0.0),
    "x/y": Real(low=0.0, high=1.0),
    "n": Integer(low=1, high=12),
}
SPACE: dict[str, Primitive] = {**MIXED, "c": Category(size=3), "one": Category(size=1)}
SMALL: dict[str, Primitive] = {"n": Integer(low=-1, high=1), "c": Category(size=2)}


def loss(point: dict[str, Any]) -> float:
    away = (point["lr"] + 4) ** 2 / 10 + (point["x/y"] - 0.3) ** 2 + (point["n"] - 5) ** 2 / 30
    return float(away + (point["c"] != 1))


def inside(primitive: Primitive, value: Any) -> bool:
    if isinstance(primitive, Real):
        return type(value) is float and primitive.low <= value <= primitive.high
    low, high = (0, primitive.size - 1) if isinstance(primitive, Category) else (primitive.low, primitive.high)
    return type(value) is int and low <= value <= high


def run(algorithm: Any, trials: int, *, sign: float = 1.0, start: int = 0) -> list[dict[str, Any]]:
    points = []
    for index in range(start, start + trials):
        points.append(algorithm.ask(f"t{index}"))
        algorithm.tell(f"t{index}", sign * loss(points[-1]))
    return points


@pytest.mark.parametrize(
    ("acquisition", "mode", "sign"),
    [("ei", "min", 1.0), ("ei", "max", -1.0), ("ucb", "min", 1.0), ("poi", "max", -1.0)],
)
def test_it_beats_chance_by_far(acquisition: str, mode: Any, sign: float) -> None:
    options = {"acquisition": acquisition}
    found = [min(map(loss, run(make(SPACE, mode=mode, seed=s, options=options), 18, sign=sign))) for s in range(2)]
    rng = random.Random(0)
    chance = [min(loss({n: p.sample(rng) for n, p in SPACE.items()}) for _ in range(18)) for _ in range(40)]
    assert max(found) < median(chance)
    assert min(found) < median(chance) / 2


def test_the_mode_is_heeded() -> None:
    high = run(make(SPACE, mode="max", seed=1, options={}), 20)
    assert median(map(loss, high[10:])) > median(map(loss, high[:8]))


def test_one_seed_is_one_sequence() -> None:
    assert run(make(SPACE, mode="min", seed=5, options={}), 14) == run(make(SPACE, mode="min", seed=5, options={}), 14)
    assert run(make(SPACE, mode="min", seed=5, options={}), 2) != run(make(SPACE, mode="min", seed=6, options={}), 2)


@pytest.mark.parametrize("told", [3, 15])
def test_a_restored_one_goes_on_as_if_nothing_had_happened(told: int) -> None:
    whole = make(SPACE, mode="min", seed=2, options={})
    run(whole, told)
    whole.ask("open")
    saved = json.loads(json.dumps(whole.state()))
    other = make(SPACE, mode="min", seed=2, options={})
    other.restore(saved)
    for algorithm in (whole, other):
        algorithm.tell("open", 0.5)
    assert run(other, 4, start=50) == run(whole, 4, start=50)


def test_running_trials_are_at_different_points() -> None:
    algorithm = make(SPACE, mode="min", seed=3, options={})
    run(algorithm, 12)
    asked = [algorithm.ask(f"open{i}") for i in range(8)]
    assert len({json.dumps(point) for point in asked}) == 8
    spread = np.ptp([[point["lr"] / 9, point["x/y"]] for point in asked], axis=0)
    assert spread.max() > 0.05  # not all at one peak


@pytest.mark.parametrize("initial", [2, 30], ids=["suggested", "designed"])
def test_a_small_space_is_tried_whole_before_a_point_comes_again_and_never_ends(initial: int) -> None:
    algorithm = make(SMALL, mode="max", seed=0, options={"n_initial_points": initial})
    points = []
    for index in range(9):
        points.append(algorithm.ask(str(index)))
        algorithm.tell(str(index), float(points[-1]["n"]))
    every = {tuple(point) for point in itertools.product((-1, 0, 1), (0, 1))}
    assert {(p["n"], p["c"]) for p in points[:6]} == every
    opened = [algorithm.ask(f"open{i}") for i in range(7)]
    assert {(p["n"], p["c"]) for p in opened[:6]} == every  # nothing new is left: then nothing that is running


def test_reals_that_mean_the_same_are_one_point() -> None:
    space: dict[str, Primitive] = {"x": Real(low=0.0, high=1.0, snap=lambda x: round(x * 4) / 4)}
    algorithm = make(space, mode="max", seed=0, options={})
    for index in range(5):
        algorithm.tell(str(index), algorithm.ask(str(index))["x"])
    assert {algorithm.ask(f"open{i}")["x"] for i in range(5)} == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_failed_trials_drive_it_away_and_poison_nothing() -> None:
    space: dict[str, Primitive] = {"x": Real(low=0.0, high=1.0)}
    algorithm = make(space, mode="max", seed=0, options={})
    later = []
    for index in range(24):
        x = algorithm.ask(str(index))["x"]
        algorithm.tell(str(index), None if x > 0.6 else x)
        later += [x] if index >= 12 else []
    assert sum(x <= 0.6 for x in later) >= 8
    assert max(x for x in later if x <= 0.6) > 0.55


def test_nothing_but_failures_goes_on_by_chance() -> None:
    algorithm = make(SPACE, mode="max", seed=0, options={})
    for index in range(30):
        algorithm.ask(str(index))
        algorithm.tell(str(index), None if index % 2 else float("nan"))
    assert len({entry[0][0] for entry in algorithm.state()["seen"]}) == 30


def test_a_value_out_of_all_proportion_does_not_blind_it() -> None:
    algorithm = make(SPACE, mode="min", seed=4, options={})
    losses = []
    for index in range(24):
        point = algorithm.ask(str(index))
        losses.append(loss(point))
        algorithm.tell(str(index), 1e300 if index == 2 else losses[-1])
    assert min(losses[10:]) < 0.25


def test_what_is_fixed_stays_and_the_rest_is_filled_in() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={})
    wanted = {"lr": -2.123456789, "c": 2}
    for start in (0, 12):
        point = algorithm.ask(f"fixed{start}", wanted)
        assert {name: point[name] for name in wanted} == wanted
        assert all(inside(SPACE[name], value) for name, value in point.items())
        algorithm.tell(f"fixed{start}", 1.0)
        run(algorithm, 12, start=start)
    full = {"lr": -1.0, "x/y": 0.5, "n": 3, "c": 0, "one": 0}
    assert algorithm.ask("full", full) == full


def test_ids_it_does_not_know_are_ignored() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={})
    algorithm.tell("never", 1.0)
    assert algorithm.state()["seen"] == []


@pytest.mark.parametrize(
    "primitive",
    [
        Real(low=0.0, high=5e-324),
        Real(low=1.0, high=1.0),
        Real(low=-1e300, high=1e300),
        Integer(low=3, high=3),
        Integer(low=-(2**53), high=2**53),
        Category(size=1),
        Category(size=5000),
    ],
    ids=str,
)
def test_a_space_of_any_width_is_searched(primitive: Primitive) -> None:
    algorithm = make({"only": primitive}, mode="min", seed=0, options={})
    for index in range(8):
        value = algorithm.ask(str(index))["only"]
        assert inside(primitive, value)
        algorithm.tell(str(index), float(index))


primitives = (
    st.builds(
        lambda low, width: Real(low=low, high=low + width),
        st.floats(-1e6, 1e6),
        st.floats(0, 1e6, allow_subnormal=False),
    )
    | st.builds(lambda low, width: Integer(low=low, high=low + width), st.integers(-50, 50), st.integers(0, 40))
    | st.builds(lambda size: Category(size=size), st.integers(1, 6))
)
told = st.none() | st.floats(-1e12, 1e12) | st.just(0.0)


@settings(max_examples=12, deadline=None)
@given(st.lists(primitives, min_size=1, max_size=3), st.lists(told, min_size=7, max_size=7), st.integers(0, 2**40))
def test_every_point_is_in_the_space_in_plain_types(several: Any, values: Any, seed: int) -> None:
    space = {f"p{index}": primitive for index, primitive in enumerate(several)}
    algorithm = make(space, mode="max", seed=seed, options={"n_initial_points": 3})
    for index, value in enumerate(values):
        point = algorithm.ask(str(index))
        assert sorted(point) == sorted(space)
        assert all(inside(space[name], point[name]) for name in space)
        if index % 3:
            algorithm.tell(str(index), value)
    json.dumps(algorithm.state(), allow_nan=False)


@pytest.mark.parametrize("primitive", [Integer(low=2, high=9), Category(size=8)], ids=str)
def test_every_value_of_a_small_support_is_reached(primitive: Primitive) -> None:
    algorithm = make({"p": primitive}, mode="max", seed=1, options={})
    seen = set()
    for index in range(8):
        seen.add(algorithm.ask(str(index))["p"])
        algorithm.tell(str(index), 1.0)
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"acquisitoin": "ei"}, "Did you mean 'acquisition'?"),
        ({"acquisition": "best"}, "must be one of ei, ucb, poi"),
        ({"acquisition": ["ei"]}, "must be one of ei, ucb, poi"),
        ({"kappa": 2.0}, "does nothing with acquisition 'ei'"),
        ({"acquisition": "ucb", "xi": 0.1}, "does nothing with acquisition 'ucb'"),
        ({"acquisition": "ucb", "kappa": -1}, "at least 0"),
        ({"xi": True}, "at least 0"),
        ({"xi": float("inf")}, "at least 0"),
        ({"n_initial_points": 0}, "at least 1"),
        ({"n_initial_points": 2.5}, "whole number"),
    ],
    ids=str,
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalid, match=r"search_alg\.options") as caught:
        make(SPACE, mode="min", seed=0, options=options)
    assert said in str(caught.value)


def test_the_kernel_gradient_is_that_of_its_values() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random((7, 2)), rng.integers(0, 3, 7) / 2])
    values = np.array([1.3, 0.02, 0.4, 0.9, 0.7])
    categories = np.array([False, False, True])
    _, gradient = gaussian.Matern52(values, categories)(points, eval_gradient=True)
    for place in range(len(values)):
        up, down = (values * np.exp(np.eye(5)[place] * step) for step in (1e-6, -1e-6))
        measured = (gaussian.Matern52(up, categories)(points) - gaussian.Matern52(down, categories)(points)) / 2e-6
        np.testing.assert_allclose(gradient[..., place], measured, atol=1e-7)


def test_the_model_keeps_the_best_and_the_newest() -> None:
    values = np.array([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 0.0, -1.0])
    assert gaussian.select_informative(values, 4).tolist() == [0, 2, 6, 7]
    assert gaussian.select_informative(values, 8).tolist() == list(range(8))
