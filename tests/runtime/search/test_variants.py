"""Random and grid search: the grid in the job's order, once per sample, as Ray counts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.search import create_algorithm
from trialrun.search.variants import Variants
from trialrun.space import Space
from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase, count_trials, parse_request


def grid(name: str, *options: Any) -> DistributionBase:
    made = {"name": name, "type": "grid_search", "options": list(options)}
    return DISTRIBUTIONS["grid_search"].model_validate(made)


def uniform(name: str) -> DistributionBase:
    return DISTRIBUTIONS["uniform"].model_validate({"name": name, "type": "uniform", "min": 0, "max": 1})


def walked(algorithm: Any, space: Space) -> list[dict[str, Any]]:
    points = iter(lambda: algorithm.ask("t"), None)
    return [space.decode(point) for point in points]


def test_a_grid_is_walked_in_order_once_per_sample() -> None:
    space = Space([grid("a", 1, 2), grid("b", "x", "y")])
    seen = walked(Variants(space, samples=2, seed=0), space)
    once = [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert seen == once * 2


def test_what_is_no_grid_is_drawn_anew_for_every_trial() -> None:
    space = Space([grid("a", 1, 2), uniform("u")])
    assert len({values["u"] for values in walked(Variants(space, samples=5, seed=0), space)}) == 10


def test_a_point_makes_the_grid_of_its_sample_smaller() -> None:
    space = Space([grid("a", 1, 2), grid("b", "x", "y")])
    seen = walked(Variants(space, [{"a": 2}, {"a": 1, "b": "y"}], samples=3, seed=0), space)
    assert [(values["a"], values["b"]) for values in seen] == [
        (2, "x"),
        (2, "y"),
        (1, "y"),
        (1, "x"),
        (1, "y"),
        (2, "x"),
        (2, "y"),
    ]


def test_points_beyond_the_samples_are_tried() -> None:
    space = Space([uniform("u")])
    points = [{"u": 0.25}, {"u": 0.5}, {"u": 0.75}]
    assert walked(Variants(space, points, samples=1, seed=0), space) == points


def test_results_change_nothing() -> None:
    space = Space([uniform("u")])
    told, untold = (Variants(space, samples=5, seed=3) for _ in range(2))
    told.tell("t", 1.0)
    assert walked(told, space) == walked(untold, space)


def test_a_value_asked_for_is_given() -> None:
    assert Variants(Space([uniform("u")]), samples=1, seed=0).ask("t", {"u": 0.125}) == {"u": 0.125}


@pytest.mark.parametrize("asked", [0, 1, 3, 7])
def test_a_restored_walk_ends_where_it_would_have(asked: int) -> None:
    space = Space([grid("a", 1, 2), uniform("u")])
    whole, cut, restored = (Variants(space, [{"a": 1}], samples=4, seed=5) for _ in range(3))
    for _ in range(asked):
        whole.ask("t")
        cut.ask("t")
    restored.restore(cut.state())
    rest = walked(restored, space)
    assert rest == walked(whole, space)
    assert len(rest) == 7 - asked


@given(
    sizes=st.lists(st.integers(1, 3), max_size=3),
    samples=st.integers(1, 4),
    points=st.lists(st.sets(st.integers(0, 2)), max_size=5),
)
def test_as_many_trials_are_made_as_are_counted(sizes: list[int], samples: int, points: list[set[int]]) -> None:
    space = [grid(f"g{index}", *range(size)) for index, size in enumerate(sizes)] or [uniform("u")]
    params = {
        "name": "n",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [d.model_dump(mode="json") for d in space],
        "tune_config": {
            "metric": "m",
            "mode": "max",
            "num_samples": samples,
            "search_alg": {"points_to_evaluate": [{f"g{i}": 0 for i in p if i < len(sizes)} for p in points]},
        },
    }
    request = parse_request({"action": "train", "params": params})
    algorithm = create_algorithm(request.params, seed=0, extensions={})
    total = len(walked(algorithm, Space(request.params.hyperparameters or ())))
    assert total == count_trials(request)
    if not points:
        assert total == math.prod(sizes) * samples
