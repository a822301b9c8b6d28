"""Every algorithm keeps one contract: values of the space, points first, plain data as state, the same by seed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import pytest

from trialrun.search import ALGORITHMS, GRID_ALGORITHM, create_algorithm, parse_points
from trialrun.space import Space
from trialrun_hookspecs import DISTRIBUTIONS, Params, RequestInvalid, UsageError, parse_request
from trialrun_reference.halton import search_algorithms

EXTENSIONS: Mapping[str, Any] = search_algorithms()
HALTON = "halton"
BAYESOPT = "bayesoptsearch"
WANTS = {"optunasearch": "optuna", "axsearch": "ax"}  # extras
INSTALLED = [name for name in ALGORITHMS if name not in WANTS or importlib.util.find_spec(WANTS[name])]
EACH_ALGORITHM = [*INSTALLED, HALTON]
SLOW = {BAYESOPT: 5, "axsearch": 8}  # what their suggestions cost: so many times fewer are asked for
OPTIONS: dict[str, dict[str, Any]] = {  # so that few suggestions see both the first design and the model
    BAYESOPT: {"n_initial_points": 4},
    "axsearch": {"n_initial_points": 4, "method": "random_search"},
}
SAME_AFTER_RESTORE = [name for name in EACH_ALGORITHM if name != "axsearch"]  # Ax cannot be put where it was
LEARNING = [name for name in EACH_ALGORITHM if name != GRID_ALGORITHM]
PLAIN = (int, float, str, bool, list, dict, type(None))

SMALL: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "uniform": ({"min": 0.5, "max": 2}, []),
    "quniform": ({"min": 0, "max": 1, "q": 0.25}, [0.0, 0.25, 0.5, 0.75, 1.0]),
    "loguniform": ({"min": 1e-4, "max": 1, "base": 10}, []),
    "qloguniform": ({"min": 0.1, "max": 0.4, "q": 0.1, "base": 10}, [0.1, 0.2, 0.3, 0.4]),
    "randn": ({"mean": 1, "sd": 2}, []),
    "qrandn": ({"mean": 1, "sd": 2, "q": 0.5}, []),
    "randint": ({"min": 0, "max": 4}, [0, 1, 2, 3]),
    "qrandint": ({"min": 0, "max": 8, "q": 2}, [0, 2, 4, 6, 8]),
    "lograndint": ({"min": 1, "max": 5, "base": 2}, [1, 2, 3, 4]),
    "qlograndint": ({"min": 2, "max": 8, "q": 2, "base": 2}, [2, 4, 6, 8]),
    "choice": ({"options": ["a", 1, True, None, {"k": [1]}]}, ["a", 1, True, None, {"k": [1]}]),
    "grid_search": ({"options": [1, 2, 3]}, [1, 2, 3]),
}
EACH = [
    (name, kind)
    for name in EACH_ALGORITHM
    for kind in DISTRIBUTIONS
    if not (kind == "grid_search" and name != GRID_ALGORITHM)
]


def written(kind: str, name: str = "x") -> dict[str, Any]:
    return {"name": name, "type": kind, **SMALL[kind][0]}


def params(algorithm: Any, *space: dict[str, Any], samples: int = 1000, mode: str = "min", **config: Any) -> Params:
    search_alg = {"name": algorithm, "options": OPTIONS.get(algorithm, {}), **config}
    made = {
        "name": "n",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": list(space),
        "tune_config": {"metric": "m", "mode": mode, "num_samples": samples, "search_alg": search_alg},
    }
    return parse_request({"action": "train", "params": made}).params


def make(given: Params, seed: int = 1) -> Any:
    return create_algorithm(given, seed=seed, extensions=EXTENSIONS)


def draw(algorithm: Any, space: Space, number: int, *, start: int = 0) -> list[dict[str, Any]]:
    """The next trials' values; every third stays open, every fourth fails."""
    values = []
    for index in range(start, start + number):
        point = algorithm.ask(f"t{index}")
        assert point is not None
        values.append(space.decode(point))
        if index % 3:
            algorithm.tell(f"t{index}", None if index % 4 == 0 else float(index * 7 % 11))
    return values


def some(name: str, number: int) -> int:
    """So many suggestions, fewer of a slow algorithm."""
    return max(number // SLOW.get(name, 1), 12)


def of(given: Params) -> Space:
    return Space(given.hyperparameters or ())


def refused(given: Params) -> list[tuple[str, str, str]]:
    with pytest.raises(RequestInvalid) as caught:
        make(given)
    return [(problem.where, problem.rule, problem.fix) for problem in caught.value.problems]


def test_every_algorithm_that_is_installed_is_tried() -> None:
    assert {GRID_ALGORITHM, "hyperoptsearch", BAYESOPT, HALTON} <= set(EACH_ALGORITHM) <= {*ALGORITHMS, *EXTENSIONS}


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_values_lie_in_the_support_as_plain_python(name: str, kind: str) -> None:
    given = params(name, written(kind))
    space = of(given)
    for values in draw(make(given), space, some(name, 60)):
        assert space.contains("x", values["x"])
        assert type(values["x"]) in PLAIN
        assert json.dumps(space.to_plain(values)) == json.dumps(values)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind in EACH if SMALL[kind][1]])
def test_every_value_of_a_small_support_is_reached(name: str, kind: str) -> None:
    given = params(name, written(kind))
    seen = {json.dumps(values["x"]) for values in draw(make(given), of(given), some(name, 90))}
    assert seen == {json.dumps(value) for value in SMALL[kind][1]}


MIXED = [written(kind, f"{kind}/x") for kind in DISTRIBUTIONS if kind != "grid_search"]


@pytest.mark.parametrize("name", EACH_ALGORITHM)
def test_the_same_seed_gives_the_same_sequence(name: str) -> None:
    given = params(name, *MIXED)
    one, same, other = (draw(make(given, seed), of(given), some(name, 30)) for seed in (3, 3, 4))
    assert one == same
    assert one != other


@pytest.mark.parametrize("name", SAME_AFTER_RESTORE)
@pytest.mark.parametrize("before", [0, 1, 25])
def test_a_restored_algorithm_goes_on_with_the_same_sequence(name: str, before: int) -> None:
    given = params(name, *MIXED, points_to_evaluate=[{"randint/x": 1}, {"randint/x": 2}])
    algorithm, restored = make(given), make(given, seed=99)
    draw(algorithm, of(given), min(before, some(name, 25)))
    saved = json.loads(json.dumps(algorithm.state(), allow_nan=False))
    restored.restore(saved)
    expected = draw(algorithm, of(given), 10, start=before)
    assert draw(restored, of(given), 10, start=before) == expected


@pytest.mark.parametrize("name", EACH_ALGORITHM)
def test_a_state_does_not_change_after_it_was_taken(name: str) -> None:
    given = params(name, *MIXED, points_to_evaluate=[{"randint/x": 1}])
    algorithm = make(given)
    state = algorithm.state()
    before = json.dumps(state)
    draw(algorithm, of(given), 5)
    assert json.dumps(state) == before


@pytest.mark.parametrize("name", SAME_AFTER_RESTORE)
def test_trials_that_are_open_at_restore_can_still_be_told(name: str) -> None:
    given = params(name, *MIXED)
    algorithm, restored = make(given), make(given)
    for index in range(4):
        algorithm.ask(f"t{index}")
    restored.restore(json.loads(json.dumps(algorithm.state())))
    for each in (algorithm, restored):
        each.tell("t2", 1.0)
        each.tell("t0", None)
    number = some(name, 30)
    assert draw(restored, of(given), number, start=9) == draw(algorithm, of(given), number, start=9)


@pytest.mark.parametrize("name", EACH_ALGORITHM)
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 1, 0.0, -1e300])
def test_any_outcome_of_a_trial_is_taken(name: str, value: float | None) -> None:
    given = params(name, *MIXED)
    algorithm = make(given)
    for index in range(some(name, 25)):
        algorithm.ask(f"t{index}")
        algorithm.tell(f"t{index}", value)
    algorithm.tell("nobody", 1.0)
    algorithm.tell("t0", 2.0)
    json.dumps(algorithm.state(), allow_nan=False)
    assert algorithm.ask("last") is not None


@pytest.mark.parametrize("name", EACH_ALGORITHM)
def test_many_trials_may_be_open_at_once(name: str) -> None:
    given = params(name, *MIXED)
    algorithm, space = make(given), of(given)
    points = [space.decode(algorithm.ask(f"t{index}")) for index in range(40)]
    assert len({json.dumps(point) for point in points}) > 30
    for index in reversed(range(40)):
        algorithm.tell(f"t{index}", float(index))
    assert algorithm.ask("t40") is not None


# -- points to evaluate

OUTSIDE = "must lie in quniform(min=0.0, max=1.0, q=0.25)"


@pytest.mark.parametrize("name", EACH_ALGORITHM)
def test_points_to_evaluate_come_first_in_their_order_as_they_are(name: str) -> None:
    points: list[Any] = [
        {"loguniform/x": 0.001, "randn/x": 17.12345678901, "choice/x": True, "randint/x": 3.0},
        {"loguniform": {"x": 0.0123456789}, "quniform": {"x": 1}, "uniform/x": 1},
    ]
    given = params(name, *MIXED, points_to_evaluate=points)
    first, second, *_ = draw(make(given), of(given), 4)
    assert json.dumps([first[k] for k in points[0]]) == "[0.001, 17.12345678901, true, 3]"
    assert json.dumps([second[f"{k}/x"] for k in ("loguniform", "quniform", "uniform")]) == "[0.0123456789, 1.0, 1.0]"


@pytest.mark.parametrize("name", EACH_ALGORITHM)
def test_what_a_point_leaves_open_is_filled_in(name: str) -> None:
    number = some(name, 30)
    given = params(name, *MIXED, points_to_evaluate=[{"randint/x": 1}] * number)
    seen = draw(make(given), of(given), number)
    assert {values["randint/x"] for values in seen} == {1}
    assert len({values["uniform/x"] for values in seen}) > number * 0.8


def test_an_algorithm_learns_from_the_points_too() -> None:
    given = params("hyperoptsearch", written("uniform"), points_to_evaluate=[{"x": 1.9}] * 3)
    algorithm = make(given)
    for index in range(3):
        algorithm.ask(f"t{index}")
    values = [document["vals"]["x"][0] for document in algorithm.state()["inner"]["trials"]]
    assert values == pytest.approx([(1.9 - 0.5) / 1.5] * 3)


def test_points_are_given_flat_as_trials_get_them() -> None:
    space = [written("quniform", "a/b"), written("choice", "c")]
    points = [{"a": {"b": 0.5}, "c": 1.0}, {"a/b": 1}]
    assert json.dumps(parse_points(params(GRID_ALGORITHM, *space, points_to_evaluate=points))) == (
        '[{"a/b": 0.5, "c": 1}, {"a/b": 1.0}]'
    )


@pytest.mark.parametrize("name", EACH_ALGORITHM)
@pytest.mark.parametrize(
    ("point", "where", "rule"),
    [
        ({"x": 7}, "x", OUTSIDE),
        ({"x": 0.3}, "x", OUTSIDE),
        ({"x": None}, "x", OUTSIDE),
        ({"xx": 0.5}, "xx", "no such hyperparameter"),
        ({"o": {"x": 0.5}}, "o/x", "no such hyperparameter"),
        ({"o": {"p": {"x": 0.5}}}, "o/p/x", "no such hyperparameter"),
    ],
)
def test_a_point_outside_the_space_is_refused_with_its_path(
    name: str, point: dict[str, Any], where: str, rule: str
) -> None:
    given = params(name, written("quniform"), points_to_evaluate=[{"x": 0.5}, point])
    ((at, said, fix),) = refused(given)
    assert (at, said) == (f"params.tune_config.search_alg.points_to_evaluate[1].{where}", rule)
    assert fix
    with pytest.raises(RequestInvalid, match="points_to_evaluate"):
        parse_points(given)


def test_a_point_of_a_searching_algorithm_may_fix_an_object() -> None:
    given = params("hyperoptsearch", written("choice"), points_to_evaluate=[{"x": {"k": [1.0]}}])
    assert json.dumps(draw(make(given), of(given), 1)) == '[{"x": {"k": [1]}}]'


@pytest.mark.parametrize("value", [{"k": [1]}, [1], {}, []])
def test_a_point_of_random_search_may_not_since_ray_takes_objects_apart(value: Any) -> None:
    distribution = {"name": "x", "type": "choice", "options": ["a", {"k": [1]}, [1], {}, []]}
    ((where, rule, fix),) = refused(params(GRID_ALGORITHM, distribution, points_to_evaluate=[{"x": value}]))
    assert where == "params.tune_config.search_alg.points_to_evaluate[0].x"
    assert rule == f"{GRID_ALGORITHM} takes only text, numbers, true, false and null in a point"
    assert fix


def test_a_misspelt_name_in_a_point_is_answered_with_the_nearest() -> None:
    given = params(GRID_ALGORITHM, written("uniform", "learning_rate"), points_to_evaluate=[{"learnin_rate": 1}])
    assert refused(given)[0][2] == "Did you mean 'learning_rate'?"


def test_everything_wrong_is_said_at_once() -> None:
    given = params(
        "hyperoptsearch", written("grid_search"), written("randint", "y"), points_to_evaluate=[{"y": 9, "z": 1}]
    )
    assert len(refused(given)) == 3


# -- names, grids, options


def test_an_unknown_algorithm_is_answered_with_the_nearest() -> None:
    assert refused(params("hyperopt", written("uniform"))) == [
        ("params.tune_config.search_alg.name", "no such search algorithm", "Did you mean 'hyperoptsearch'?")
    ]
    assert refused(params("zzz", written("uniform")))[0][2].startswith(f"Known: {GRID_ALGORITHM}, ")


@pytest.mark.parametrize("name", LEARNING)
def test_a_grid_is_refused_where_it_cannot_be_walked(name: str) -> None:
    given = params(name, written("uniform"), written("grid_search", "g"))
    assert refused(given) == [
        (
            "params.hyperparameters[1].type",
            f"{name} cannot search a grid",
            f"Use choice, or search_alg {GRID_ALGORITHM!r}.",
        )
    ]


def test_random_search_has_no_options() -> None:
    assert refused(params(GRID_ALGORITHM, written("uniform"), options={"seed": 3})) == [
        ("params.tune_config.search_alg.options.seed", f"{GRID_ALGORITHM} has no options", "Remove it.")
    ]


@pytest.mark.parametrize("name", LEARNING)
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="zzz"):
        make(params(name, written("uniform"), options={"zzz": 1}))


def test_an_extension_gets_its_options() -> None:
    given = params(HALTON, written("uniform"), options={"skip": 5})
    plain = params(HALTON, written("uniform"))
    assert draw(make(given), of(given), 3) == draw(make(plain), of(plain), 8)[5:]


def test_a_name_of_an_algorithm_is_case_insensitive() -> None:
    assert make(params("HyperOptSearch", written("uniform"))).ask("t0") is not None
