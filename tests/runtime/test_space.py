"""A distribution means one thing: its support, its law, and the primitive that a search library sees of it."""

from __future__ import annotations

import copy
import json
import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trialrun.space import (
    CODECS,
    Category,
    FixedValue,
    Integer,
    Real,
    Space,
    flatten_values,
    nest_values,
    round_to_step,
)
from trialrun.testing.strategies import distributions, spaces
from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase

PLAIN = (int, float, str, bool, list, dict, type(None))
seeds = st.integers(0, 2**32 - 1)
units = st.floats(0, 1)


def made(kind: str, **fields: Any) -> Any:
    return DISTRIBUTIONS[kind].model_validate({"name": "x", "type": kind, **fields})


def codec(d: DistributionBase) -> Any:
    return CODECS[type(d)]


def at(primitive: Any, unit: float) -> Any:
    """The value of a primitive at a fraction of its range."""
    if isinstance(primitive, Real):
        return min(primitive.low + unit * (primitive.high - primitive.low), primitive.high)
    low, high = (0, primitive.size - 1) if isinstance(primitive, Category) else (primitive.low, primitive.high)
    return min(low + int(unit * (high - low + 1)), high)


SMALL = [
    (made("quniform", min=0, max=1, q=0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
    (made("quniform", min=-0.3, max=0.3, q=0.1), [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
    (made("qloguniform", min=0.1, max=0.5, q=0.1, base=10), [0.1, 0.2, 0.3, 0.4, 0.5]),
    (made("randint", min=0, max=4), [0, 1, 2, 3]),
    (made("randint", min=-2, max=-1), [-2]),
    (made("qrandint", min=0, max=8, q=2), [0, 2, 4, 6, 8]),
    (made("qrandint", min=-6, max=3, q=3), [-6, -3, 0, 3]),
    (made("qrandint", min=1, max=4), [1, 2, 3, 4]),
    (made("lograndint", min=1, max=8, base=2), [1, 2, 3, 4, 5, 6, 7]),
    (made("qlograndint", min=2, max=16, q=2, base=2), [2, 4, 6, 8, 10, 12, 14, 16]),
    (made("qlograndint", min=1, max=5, base=10), [1, 2, 3, 4, 5]),
    (made("choice", options=["a", 1, 1.5, True, None, [1], {"k": 1}]), ["a", 1, 1.5, True, None, [1], {"k": 1}]),
    (made("grid_search", options=[3, 1, 2]), [3, 1, 2]),
]
small = pytest.mark.parametrize(("d", "support"), SMALL, ids=lambda value: getattr(value, "type", ""))


def test_every_distribution_has_a_codec() -> None:
    assert list(CODECS) == list(DISTRIBUTIONS.values())


@given(distributions(), units)
@example(made("loguniform", min=1e-300, max=1e300, base=2), 1.0)
@example(made("uniform", min=-1e300, max=1e300), 1.0)
@example(made("lograndint", min=2**53 - 1, max=2**53, base=2), 0.0)
def test_any_value_of_the_primitive_decodes_into_the_support(d: Any, unit: float) -> None:
    value = codec(d).decode(d, at(codec(d).primitive(d), unit))
    assert codec(d).contains(d, value)
    assert type(value) in PLAIN


@given(distributions(), seeds)
def test_samples_lie_in_the_support(d: Any, seed: int) -> None:
    space = Space([d])
    (value,) = space.sample(random.Random(seed)).values()
    assert space.contains("x", value)
    assert type(value) in PLAIN


@given(distributions(), units)
def test_decode_undoes_encode(d: Any, unit: float) -> None:
    value = codec(d).decode(d, at(codec(d).primitive(d), unit))
    back = codec(d).decode(d, codec(d).encode(d, value))
    if d.type == "loguniform":
        assert math.isclose(back, value, rel_tol=1e-12)
    elif d.type == "randn":
        assert math.isclose(back, value, rel_tol=1e-6, abs_tol=1e-6 * d.sd)
    elif d.type == "qrandn":
        assert abs(back - value) <= d.q * 1.000001 or math.isclose(back, value, abs_tol=1e-6 * d.sd)
    else:
        assert back == value
        assert type(back) is type(value)


@given(distributions(), units)
def test_encoded_values_lie_in_the_primitive(d: Any, unit: float) -> None:
    primitive = codec(d).primitive(d)
    x = codec(d).encode(d, codec(d).decode(d, at(primitive, unit)))
    low, high = (0, primitive.size - 1) if isinstance(primitive, Category) else (primitive.low, primitive.high)
    assert low <= x <= high
    assert type(x) is (float if isinstance(primitive, Real) else int)


@given(distributions(), units)
def test_a_plain_value_is_the_value_itself(d: Any, unit: float) -> None:
    value = codec(d).decode(d, at(codec(d).primitive(d), unit))
    plain = codec(d).plain(d, value)
    assert plain == value
    assert type(plain) is type(value)


@small
def test_a_small_support_is_reached_whole(d: Any, support: list[Any]) -> None:
    rng = random.Random(0)
    space = Space([d])
    seen = [space.sample(rng)["x"] for _ in range(600)]
    assert {json.dumps(v) for v in seen} == {json.dumps(v) for v in support}


@small
def test_every_value_of_a_small_support_comes_back(d: Any, support: list[Any]) -> None:
    for value in support:
        assert codec(d).contains(d, value)
        back = codec(d).decode(d, codec(d).encode(d, value))
        assert json.dumps(back) == json.dumps(value)


OUTSIDE: list[tuple[Any, list[Any]]] = [
    (made("uniform", min=0, max=1), [-1e-9, 1 + 1e-9, True, "0.5", None, float("nan"), float("inf"), 10**400, [0.5]]),
    (made("loguniform", min=1e-5, max=1e5, base=10), [0, -1e-5, 9.9e-6, 1e5 + 1, False]),
    (made("quniform", min=0, max=1, q=0.25), [0.1, 1.25, -0.25, "0.25", 0.25 + 1e-9]),
    (made("qloguniform", min=1, max=8, q=1, base=2), [1.5, 0, 9]),
    (made("randn", mean=0, sd=1), [float("nan"), float("inf"), "0", True, 10**400]),
    (made("qrandn", mean=0, sd=1, q=0.5), [0.3, float("nan"), True]),
    (made("randint", min=0, max=4), [-1, 4, 1.5, True, "1", None]),
    (made("qrandint", min=0, max=8, q=2), [3, 10, -2, True]),
    (made("lograndint", min=1, max=8, base=2), [0, 8]),
    (made("qlograndint", min=2, max=16, q=2, base=2), [3, 0, 18]),
    (made("choice", options=[1, "a"]), [True, "b", None, 2, [1]]),
    (made("choice", options=[True]), [1, 1.0, "true"]),
]


@pytest.mark.parametrize(("d", "value"), [(d, value) for d, values in OUTSIDE for value in values])
def test_what_is_outside_is_not_contained(d: Any, value: Any) -> None:
    assert not codec(d).contains(d, value)


@pytest.mark.parametrize(
    ("d", "value", "plain"),
    [
        (made("uniform", min=0, max=8), 5, 5.0),
        (made("quniform", min=0, max=1, q=0.1), 0.30000000000000004, 0.3),
        (made("quniform", min=0, max=1, q=0.1), 1, 1.0),
        (made("loguniform", min=1, max=8, base=2), 8 * (1 + 1e-15), 8.0),
        (made("randn", mean=0, sd=1), 9, 9.0),
        (made("qrandn", mean=0, sd=1, q=0.1), 0.30000000000000004, 0.3),
        (made("randint", min=0, max=8), 5.0, 5),
        (made("qrandint", min=0, max=8, q=2), 4.0, 4),
        (made("lograndint", min=1, max=8, base=2), 7.0, 7),
        (made("choice", options=[32, 64]), 64.0, 64),
        (made("choice", options=[1.0, 1]), 1, 1),
        (made("choice", options=[[1, {"a": 2}]]), [1.0, {"a": 2.0}], [1, {"a": 2}]),
    ],
)
def test_a_value_is_given_the_form_that_trials_get(d: Any, value: Any, plain: Any) -> None:
    assert codec(d).contains(d, value)
    got = Space([d]).to_plain({"x": value})["x"]
    assert json.dumps(got) == json.dumps(plain)


@given(st.integers(-(10**6), 10**6), st.integers(1, 999), st.integers(-6, 3))
def test_multiples_of_q_read_as_they_are_written(index: int, mantissa: int, exponent: int) -> None:
    q = float(f"{mantissa}e{exponent}")
    value = round_to_step(index * q, q)
    assert value == float(f"{index * mantissa}e{exponent}")
    assert math.copysign(1, value) == (1 if index >= 0 else -1)


@given(distributions(kinds=("quniform", "qloguniform")), units)
def test_values_of_quantised_floats_are_clean(d: Any, unit: float) -> None:
    value = codec(d).decode(d, at(codec(d).primitive(d), unit))
    assert value == round_to_step(value, d.q)


def test_a_trial_cannot_change_the_options_of_the_next() -> None:
    space = Space([made("choice", options=[{"layers": [1, 2]}])])
    first = space.sample(random.Random(0))["x"]
    first["layers"].append(3)
    assert space.sample(random.Random(0))["x"] == {"layers": [1, 2]}


@given(distributions(kinds=("loguniform", "lograndint", "qloguniform", "qlograndint")), seeds)
def test_the_base_changes_nothing(d: Any, seed: int) -> None:
    other = d.model_copy(update={"base": d.base * 3})
    assert Space([d]).sample(random.Random(seed)) == Space([other]).sample(random.Random(seed))


# -- laws: chi-square with fixed seeds; the limits are far beyond the 0.999 quantile


def chi_square(seen: Counter[Any], expected: dict[Any, float], draws: int) -> float:
    assert set(seen) <= set(expected)
    return sum((seen[key] - draws * p) ** 2 / (draws * p) for key, p in expected.items())


LAWS = [
    (made("randint", min=0, max=4), dict.fromkeys(range(4), 1 / 4)),
    (made("qrandint", min=0, max=8, q=2), dict.fromkeys(range(0, 9, 2), 1 / 5)),
    (made("quniform", min=0, max=1, q=0.25), {0.0: 1 / 8, 0.25: 1 / 4, 0.5: 1 / 4, 0.75: 1 / 4, 1.0: 1 / 8}),
    (made("lograndint", min=1, max=8, base=2), {k: math.log((k + 1) / k, 8) for k in range(1, 8)}),
    (
        made("qlograndint", min=2, max=8, q=2, base=2),
        {2 * k: math.log((k + 1) / k) / math.log(5) for k in range(1, 5)},
    ),
    (made("choice", options=[1, 2, 3]), dict.fromkeys((1, 2, 3), 1 / 3)),
]


@pytest.mark.parametrize(("d", "law"), LAWS, ids=lambda value: getattr(value, "type", ""))
def test_a_discrete_law_is_as_documented(d: Any, law: dict[Any, float]) -> None:
    rng, space, draws = random.Random(7), Space([d]), 4000
    seen = Counter(space.sample(rng)["x"] for _ in range(draws))
    assert chi_square(seen, law, draws) < 30


@pytest.mark.parametrize(
    ("d", "cdf"),
    [
        (made("uniform", min=-1, max=3), lambda v: (v + 1) / 4),
        (made("loguniform", min=1e-4, max=1, base=10), lambda v: math.log(v / 1e-4) / math.log(1e4)),
        (made("randn", mean=2, sd=3), lambda v: (1 + math.erf((v - 2) / 3 / math.sqrt(2))) / 2),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_a_continuous_law_is_as_documented(d: Any, cdf: Any) -> None:
    rng, space, draws = random.Random(7), Space([d]), 4000
    levels = sorted(cdf(space.sample(rng)["x"]) for _ in range(draws))
    distance = max(abs(level - (i + 0.5) / draws) for i, level in enumerate(levels))
    assert distance < 2 / math.sqrt(draws)


# -- spaces


@settings(max_examples=30)
@given(spaces(), seeds)
def test_a_space_decodes_what_it_encodes_in_its_order(space: list[DistributionBase], seed: int) -> None:
    made_ = Space(space)
    values = made_.sample(random.Random(seed))
    assert list(values) == made_.names == [d.name for d in space]
    assert list(made_.build_primitives()) == made_.names
    assert all(made_.contains(name, value) for name, value in made_.to_plain(values).items())


@settings(max_examples=30)
@given(spaces(), seeds)
def test_the_same_seed_gives_the_same_sample(space: list[DistributionBase], seed: int) -> None:
    assert Space(space).sample(random.Random(seed)) == Space(space).sample(random.Random(seed))


@settings(max_examples=30)
@given(spaces(), seeds)
def test_a_fixed_value_stands_as_it_is(space: list[DistributionBase], seed: int) -> None:
    made_ = Space(space)
    values = made_.sample(random.Random(seed))
    assert made_.decode({name: FixedValue(value=value) for name, value in values.items()}) == values


def test_a_fixed_value_is_a_copy() -> None:
    value = {"a": [1]}
    space = Space([made("choice", options=[value])])
    space.decode({"x": FixedValue(value=value)})["x"]["a"].append(2)
    assert value == {"a": [1]}


def test_grids_are_named() -> None:
    d = made("grid_search", options=[1])
    assert Space([made("choice", options=[1]).model_copy(update={"name": "y"}), d]).grid_names == ["x"]


@settings(max_examples=30)
@given(spaces(), seeds)
def test_flatten_undoes_nest(space: list[DistributionBase], seed: int) -> None:
    values = Space(space).sample(random.Random(seed))
    nested = nest_values(values)
    assert flatten_values(nested, values) == values
    assert all("/" not in key for key in nested)


@settings(max_examples=30)
@given(spaces(), seeds)
def test_nest_undoes_flatten(space: list[DistributionBase], seed: int) -> None:
    nested = nest_values(Space(space).sample(random.Random(seed)))
    assume(nested)
    before = copy.deepcopy(nested)
    assert nest_values(flatten_values(nested, [d.name for d in space])) == before
    assert nested == before


def test_nested_names_make_nested_hyperparameters() -> None:
    assert nest_values({"a": 1, "o/lr": 2, "o/s/t": 3, "o/s/u": 4}) == {"a": 1, "o": {"lr": 2, "s": {"t": 3, "u": 4}}}


def test_names_that_are_absent_are_left_out() -> None:
    assert flatten_values({"a": 1, "b": {"c": 2}}, ["a", "b/c", "b/d", "a/x", "z"]) == {"a": 1, "b/c": 2}


@pytest.mark.parametrize(
    ("primitive", "kind"),
    [(Real(low=0, high=1), "real"), (Integer(low=0, high=1), "integer"), (Category(size=2), "category")],
)
def test_a_primitive_says_its_kind(primitive: Any, kind: str) -> None:
    assert primitive.kind == kind
    rng = random.Random(0)
    seen = {round(primitive.sample(rng)) for _ in range(50)}
    assert seen == {0, 1}
