"""The door to Optuna: it learns, stays in the space, resumes from its state, and says when Optuna is absent."""

from __future__ import annotations

import importlib
import json
import sys
from statistics import median
from typing import Any

import pytest

from trialrun.search.options import missing_library_error
from trialrun.space import Category, Integer, Primitive, Real
from trialrun_hookspecs import RequestInvalid

optuna = pytest.importorskip("optuna", reason="the extra trialrun[optuna] is not installed")
door = importlib.import_module("trialrun.search.optuna")
make = door.make

SPACE: dict[str, Primitive] = {
    "x/y": Real(low=-5.0, high=5.0),
    "n": Integer(low=0, high=20),
    "c": Category(size=3),
    "one": Category(size=1),
}


def loss(point: dict[str, Any]) -> float:
    return float((point["x/y"] - 2) ** 2 + (point["n"] - 7) ** 2 / 10 + 3 * (point["c"] != 1))


def run(algorithm: Any, trials: int, *, sign: float = 1.0, start: int = 0) -> list[dict[str, Any]]:
    points = []
    for index in range(start, start + trials):
        points.append(algorithm.ask(f"t{index}"))
        algorithm.tell(f"t{index}", sign * loss(points[-1]))
    return points


@pytest.mark.parametrize(("mode", "sign"), [("min", 1.0), ("max", -1.0)])
def test_it_beats_chance(mode: str, sign: float) -> None:
    found: dict[str, list[float]] = {"tpe": [], "random": []}
    for sampler, losses in found.items():
        for seed in range(5):
            algorithm = make(SPACE, mode=mode, seed=seed, options={"sampler": sampler})
            losses.append(min(map(loss, run(algorithm, 45, sign=sign))))
    assert median(found["tpe"]) < median(found["random"]) / 2


def test_every_value_of_a_small_support_is_reached_in_plain_types() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={"sampler": "random"})
    points = run(algorithm, 150)
    assert {type(value) for point in points for name, value in point.items() if name != "x/y"} == {int}
    assert all(type(point["x/y"]) is float and -5 <= point["x/y"] <= 5 for point in points)
    assert {point["n"] for point in points} == set(range(21))
    assert {(point["c"], point["one"]) for point in points} == {(0, 0), (1, 0), (2, 0)}


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
    algorithm = make({"only": primitive}, mode="min", seed=0, options={"n_initial_points": 3})
    for index in range(8):
        value = algorithm.ask(str(index))["only"]
        low, high = (0, primitive.size - 1) if isinstance(primitive, Category) else (primitive.low, primitive.high)
        assert low <= value <= high
        algorithm.tell(str(index), float(index))


def test_one_seed_is_one_sequence() -> None:
    assert run(make(SPACE, mode="min", seed=5, options={}), 14) == run(make(SPACE, mode="min", seed=5, options={}), 14)
    assert run(make(SPACE, mode="min", seed=5, options={}), 2) != run(make(SPACE, mode="min", seed=6, options={}), 2)


@pytest.mark.parametrize("told", [3, 15])
def test_a_restored_one_goes_on_as_if_nothing_had_happened(told: int) -> None:
    whole = make(SPACE, mode="min", seed=2, options={})
    run(whole, told)
    whole.ask("failed")
    whole.tell("failed", None)
    whole.ask("open")
    saved = json.loads(json.dumps(whole.state()))
    other = make(SPACE, mode="min", seed=2, options={})
    other.restore(saved)
    assert other.state() == saved
    for algorithm in (whole, other):
        algorithm.tell("open", 0.5)
    assert run(other, 5, start=50) == run(whole, 5, start=50)


def test_trials_may_be_open_at_once_and_told_in_any_order() -> None:
    algorithm = make(SPACE, mode="min", seed=3, options={})
    run(algorithm, 12)
    asked = {f"open{i}": algorithm.ask(f"open{i}") for i in range(6)}
    assert len({json.dumps(point) for point in asked.values()}) == 6
    for trial_id in reversed(asked):
        algorithm.tell(trial_id, loss(asked[trial_id]))
    algorithm.tell("never", 1.0)
    values = [trial["value"] for trial in algorithm.state()["trials"]]
    assert values[12:] == [loss(point) for point in asked.values()]


def test_a_failed_trial_is_known_as_failed() -> None:
    algorithm = make(SPACE, mode="max", seed=0, options={"n_initial_points": 2})
    for index in range(6):
        algorithm.ask(str(index))
        algorithm.tell(str(index), None)
    assert {trial["state"] for trial in algorithm.state()["trials"]} == {"FAIL"}
    assert algorithm.ask("next")


def test_what_is_fixed_stays_and_the_rest_is_filled_in() -> None:
    algorithm = make(SPACE, mode="min", seed=0, options={})
    wanted = {"x/y": -2.123456789, "c": 2}
    for start in (0, 12):
        point = algorithm.ask(f"fixed{start}", wanted)
        assert {name: point[name] for name in wanted} == wanted
        assert point.keys() == SPACE.keys()
        algorithm.tell(f"fixed{start}", 1.0)
        run(algorithm, 12, start=start)
    full = {"x/y": 0.5, "n": 3, "c": 0, "one": 0}
    assert algorithm.ask("full", full) == full


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    algorithm = make(SPACE, mode="min", seed=0, options={})
    run(algorithm, 12)
    algorithm.ask("fixed", {"c": 1})
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"smapler": "tpe"}, "Did you mean 'sampler'?"),
        ({"sampler": "cmaes"}, "must be one of tpe, random"),
        ({"n_initial_points": 0}, "whole number of at least 1"),
        ({"n_ei_candidates": True}, "whole number of at least 1"),
    ],
    ids=str,
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalid, match=r"search_alg\.options") as caught:
        make(SPACE, mode="min", seed=0, options=options)
    assert said in str(caught.value)


@pytest.mark.parametrize(("name", "library", "extra"), [("optuna", "optuna", "optuna"), ("ax", "ax", "ax")])
def test_without_the_library_the_extra_is_named(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for module in [f"trialrun.search.{name}", *(m for m in sys.modules if m.startswith(f"{library}."))]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(RequestInvalid, match=rf"{name}search needs the library") as caught:
        importlib.import_module(f"trialrun.search.{name}")
    assert f"pip install 'trialrun[{extra}]'" in str(caught.value)


def test_another_missing_library_is_reported_as_itself() -> None:
    missing = ModuleNotFoundError("No module named 'colorlog'", name="colorlog")
    assert missing_library_error("optunasearch", missing, library="optuna", extra="optuna") is missing
