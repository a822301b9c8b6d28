"""The door to Ax: it stays in the space, minds a small one's end, and resumes from its state."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from trialrun.space import Category, Integer, Primitive, Real
from trialrun_hookspecs import RequestInvalid

pytest.importorskip("ax", reason="the extra trialrun[ax] is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # its libraries warn of one another on import
make = importlib.import_module("trialrun.search.ax").make

SPACE: dict[str, Primitive] = {
    "x/y": Real(low=-5.0, high=10.0),
    "n": Integer(low=1, high=12),
    "c": Category(size=3),
    "one": Category(size=1),
}


def loss(point: dict[str, Any]) -> float:
    return float((point["x/y"] - 2) ** 2 / 10 + (point["n"] - 7) ** 2 / 10 + (point["c"] != 1))


def run(algorithm: Any, trials: int, *, sign: float = 1.0, start: int = 0) -> list[dict[str, Any]]:
    points = []
    for index in range(start, start + trials):
        points.append(algorithm.ask(f"t{index}"))
        algorithm.tell(f"t{index}", sign * loss(points[-1]))
    return points


def test_it_learns_and_heeds_the_mode_and_stays_in_the_space() -> None:
    low = run(make(SPACE, mode="min", seed=0, options={}), 12)
    high = run(make(SPACE, mode="max", seed=0, options={}), 8)
    assert min(map(loss, low[6:])) < 0.5
    assert max(map(loss, high[6:])) > 3
    for point in low + high:
        assert point.keys() == SPACE.keys()
        assert type(point["x/y"]) is float
        assert -5 <= point["x/y"] <= 10
        assert all(type(point[name]) is int for name in ("n", "c", "one"))
        assert (1 <= point["n"] <= 12, point["c"] in range(3), point["one"]) == (True, True, 0)


def test_one_seed_is_one_sequence() -> None:
    assert run(make(SPACE, mode="min", seed=5, options={}), 7) == run(make(SPACE, mode="min", seed=5, options={}), 7)
    assert run(make(SPACE, mode="min", seed=5, options={}), 2) != run(make(SPACE, mode="min", seed=6, options={}), 2)


def test_many_trials_are_open_at_once_at_different_points() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={})
    asked = [algorithm.ask(f"open{i}") for i in range(12)]
    assert len({json.dumps(point) for point in asked}) == 12
    algorithm.tell("never", 1.0)


def test_a_small_space_is_tried_whole_and_never_ends() -> None:
    algorithm = make({"c": Category(size=3), "n": Integer(low=-1, high=0)}, mode="max", seed=1, options={})
    points = []
    for index in range(8):
        points.append(algorithm.ask(str(index)))
        algorithm.tell(str(index), None if index == 2 else float(points[-1]["c"]))
    assert len({json.dumps(point, sort_keys=True) for point in points[:6]}) == 6
    opened = [algorithm.ask(f"open{i}") for i in range(7)]
    assert len({json.dumps(point, sort_keys=True) for point in opened[:6]}) == 6


def test_a_space_without_a_choice_has_its_one_point() -> None:
    algorithm = make({"c": Category(size=1), "x": Real(low=2.0, high=2.0)}, mode="max", seed=1, options={})
    assert [algorithm.ask(str(i)) for i in range(2)] == [{"c": 0, "x": 2.0}] * 2
    algorithm.tell("0", 1.0)


def test_what_is_fixed_stays_and_the_rest_is_filled_in() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={"method": "random_search"})
    wanted = {"x/y": -2.123456789, "c": 2}
    point = algorithm.ask("some", wanted)
    assert {name: point[name] for name in wanted} == wanted
    assert point.keys() == SPACE.keys()
    full = {"x/y": 0.5, "n": 3, "c": 0, "one": 0}
    assert algorithm.ask("full", full) == full


def test_it_goes_on_from_its_state() -> None:
    whole = make(SPACE, mode="min", seed=2, options={})
    run(whole, 4)
    whole.ask("failed")
    whole.tell("failed", None)
    whole.ask("open")
    saved = json.loads(json.dumps(whole.state()))
    other = make(SPACE, mode="min", seed=2, options={})
    other.restore(saved)
    assert other.state() == saved
    other.tell("open", 0.5)
    tried = [trial["point"] for trial in saved["trials"]]
    free = other.ask("next")
    assert free not in [{**point, "one": 0} for point in tried]


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={"n_initial_points": 3})
    run(algorithm, 4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"methd": "fast"}, "Did you mean 'method'?"),
        ({"method": "slow"}, "must be one of fast, quality, random_search"),
        ({"n_initial_points": 0}, "whole number of at least 1"),
    ],
    ids=str,
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalid, match=r"search_alg\.options") as caught:
        make(SPACE, mode="min", seed=0, options=options)
    assert said in str(caught.value)
