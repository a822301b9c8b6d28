"""The search algorithm hook."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.space import Category, Integer, Real
from trialrun_hookspecs import UsageError
from trialrun_reference.halton import Halton, search_algorithms

SPACE = {"rate": Real(low=-3.0, high=1.0), "units": Integer(low=1, high=8), "kind": Category(size=3)}
seeds = st.integers(0, 2**64)


def make(seed: int = 0, space: dict[str, Any] = SPACE, **options: Any) -> Halton:
    made: Halton = search_algorithms()["halton"](space, mode="max", seed=seed, options=options)
    return made


def draw(algorithm: Halton, count: int) -> list[dict[str, Any] | None]:
    return [algorithm.ask(f"t{i}") for i in range(count)]


@given(seed=seeds, dimensions=st.integers(1, 12))
def test_points_fill_the_unit_interval_evenly(seed: int, dimensions: int) -> None:
    algorithm = make(seed, {f"x{i}": Real(low=0.0, high=1.0) for i in range(dimensions)})
    points = draw(algorithm, 400)
    for i in range(dimensions):
        values = [point[f"x{i}"] for point in points if point is not None]
        tenths = [sum(tenth <= 10 * value < tenth + 1 for value in values) for tenth in range(10)]
        assert sum(tenths) == 400
        assert all(abs(count - 40) <= 8 for count in tenths), tenths


@given(seed=seeds, count=st.integers(1, 200))
def test_points_lie_in_the_space(seed: int, count: int) -> None:
    for point in draw(make(seed), count):
        assert point is not None
        assert list(point) == list(SPACE)
        assert type(point["rate"]) is float
        assert -3.0 <= point["rate"] <= 1.0
        assert type(point["units"]) is int
        assert 1 <= point["units"] <= 8
        assert type(point["kind"]) is int
        assert 0 <= point["kind"] <= 2


def test_every_integer_and_category_comes_up() -> None:
    points = [point for point in draw(make(), 64) if point]
    assert {point["units"] for point in points} == set(range(1, 9))
    assert {point["kind"] for point in points} == {0, 1, 2}


@given(seed=seeds, other=seeds, before=st.integers(0, 50))
def test_a_restored_sequence_goes_on(seed: int, other: int, before: int) -> None:
    algorithm, restored = make(seed), make(other)
    draw(algorithm, before)
    restored.restore(json.loads(json.dumps(algorithm.state())))
    assert draw(restored, 20) == draw(algorithm, 20)


@given(seed=seeds, results=st.lists(st.none() | st.floats(), max_size=5))
def test_what_is_told_changes_nothing(seed: int, results: list[float | None]) -> None:
    told, untold = make(seed), make(seed)
    for result in results:
        told.tell("t0", result)
    assert draw(told, 10) == draw(untold, 10)


def test_seeds_differ() -> None:
    assert draw(make(1), 5) != draw(make(2), 5)


def test_skip_leaves_out_the_first_points() -> None:
    assert draw(make(skip=7), 5) == draw(make(), 12)[7:]


@pytest.mark.parametrize(
    ("options", "where"), [({"skip": -1}, "skip"), ({"skip": True}, "skip"), ({"leap": 3}, "leap")]
)
def test_other_options_are_refused(options: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError, match=where):
        make(**options)
