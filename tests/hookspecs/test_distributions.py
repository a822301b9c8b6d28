"""The 12 distributions: what is refused and why, and the step that a missing q becomes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from trialrun.testing.strategies import FIELDS, distribution_dicts, distributions
from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase, QRandn, QUniform, RequestInvalid, parse_request
from trialrun_hookspecs.distributions import default_q, divides

QUANTISED = ("quniform", "qloguniform", "qrandn", "qrandint", "qlograndint")
RANGES = tuple(kind for kind in DISTRIBUTIONS if "uniform" in kind or "randint" in kind)
LOGS = tuple(kind for kind in DISTRIBUTIONS if "log" in kind)
INTEGERS = tuple(kind for kind in DISTRIBUTIONS if "int" in kind)


def model(made: dict[str, Any]) -> DistributionBase:
    return DISTRIBUTIONS[made["type"]].model_validate(made)


def problems_of(distribution: Any) -> list[tuple[str, str, str]]:
    """(path below the distribution, rule, remedy) of everything wrong with it in a job."""
    params = {
        "name": "n",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [distribution],
        "tune_config": {"metric": "m", "mode": "max"},
    }
    try:
        parse_request({"action": "train", "params": params})
    except RequestInvalid as refused:
        return [
            (p.where.removeprefix("params.hyperparameters[0]").lstrip("."), p.rule, p.fix) for p in refused.problems
        ]
    return []


def usual(kind: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "x", "type": kind}
    if kind in RANGES:
        made |= {"min": 2, "max": 8}
    elif "randn" in kind:
        made |= {"mean": 0.0, "sd": 1.0}
    else:
        made |= {"options": [1, "a"]}
    return made | ({"base": 10} if kind in LOGS else {}) | fields


def without(made: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in made.items() if k != key}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_the_usual_form_is_valid(kind: str) -> None:
    assert problems_of(usual(kind)) == []


def test_the_strategies_know_every_distribution() -> None:
    assert list(FIELDS) == list(DISTRIBUTIONS)
    assert [model(usual(kind)).type for kind in DISTRIBUTIONS] == list(DISTRIBUTIONS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in DISTRIBUTIONS for key in usual(kind)])
def test_a_missing_field_is_named(kind: str, key: str) -> None:
    ((where, rule, fix),) = problems_of(without(usual(kind), key))
    assert (where, rule) == (key, "required")
    assert fix.startswith("Add")


WORDS = [
    (kind, ours, theirs)
    for kinds, ours, words in (
        (RANGES, "min", ("lower", "low")),
        (RANGES, "max", ("upper", "high")),
        (("choice", "grid_search"), "options", ("values", "categories", "choices")),
        (("randn", "qrandn"), "sd", ("std", "sigma")),
        (("randn", "qrandn"), "mean", ("mu",)),
    )
    for kind in kinds
    for theirs in words
]


@pytest.mark.parametrize(("kind", "ours", "theirs"), WORDS)
def test_the_words_of_other_tools_are_answered_with_the_right_one(kind: str, ours: str, theirs: str) -> None:
    made = usual(kind)
    made[theirs] = made.pop(ours)
    assert problems_of(made) == [(theirs, "unknown key", f"Use {ours!r}.")]


def test_a_step_is_a_q() -> None:
    assert problems_of(usual("quniform", step=1)) == [("step", "unknown key", "Use 'q'.")]
    assert problems_of(usual("uniform", q=1)) == [("q", "unknown key", "Known: name, min, max, type.")]


@pytest.mark.parametrize(
    ("key", "fix"), [("optoins", "Did you mean 'options'?"), ("zzz", "Known: name, type, options.")]
)
def test_a_misspelt_key_is_answered_with_the_nearest(key: str, fix: str) -> None:
    made = usual("choice")
    made[key] = made["options"]
    assert (key, "unknown key", fix) in problems_of(made)


def test_a_misspelt_type_is_answered_with_the_nearest() -> None:
    ((where, rule, fix),) = problems_of(usual("uniform", type="unifrom"))
    assert (where, rule, fix) == (
        "type",
        "must be one of the 12 distributions, or constant or expression",
        "Did you mean 'uniform'?",
    )


@pytest.mark.parametrize("value", [7, None, [], {}, ["uniform"], True])
def test_a_type_that_is_no_text_is_answered_with_the_list(value: Any) -> None:
    ((where, _, fix),) = problems_of(usual("uniform", type=value))
    assert where == "type"
    assert "qlograndint" in fix


REFUSED = [
    (usual("uniform", min=8, max=2), "min", "min must be less than max, got min=8 and max=2"),
    (usual("uniform", min=2, max=2), "min", "min must be less than max, got min=2 and max=2"),
    (usual("randint", min=2, max=2), "min", "min must be less than max, got min=2 and max=2"),
    (usual("loguniform", min=0), "min", "loguniform needs min > 0"),
    (usual("qloguniform", min=-2), "min", "qloguniform needs min > 0"),
    (usual("lograndint", min=0), "min", "lograndint needs min > 0"),
    (usual("qlograndint", min=-1), "min", "qlograndint needs min > 0"),
    (usual("loguniform", base=1), "base", "must not be 1"),
    (usual("loguniform", base=0), "base", "must be greater than 0"),
    (usual("lograndint", base=-2), "base", "must be greater than 0"),
    (usual("lograndint", base="10"), "base", "must be a number"),
    (usual("randn", sd=0), "sd", "must be greater than 0"),
    (usual("qrandn", sd=-1.0), "sd", "must be greater than 0"),
    (usual("uniform", min=True), "min", "must be a number"),
    (usual("uniform", max="8"), "max", "must be a number"),
    (usual("uniform", max=None), "max", "must be a number"),
    (usual("uniform", max=[8]), "max", "must be a number"),
    (usual("uniform", max=float("nan")), "max", "must be finite"),
    (usual("randn", mean=float("-inf")), "mean", "must be finite"),
    (usual("uniform", max=2e300), "max", "must be between -1e+300 and 1e+300"),
    (usual("uniform", min=-(10**400)), "min", "is too large"),
    (usual("randint", max=True), "max", "must be an integer"),
    (usual("randint", min=5.5), "min", "must be an integer"),
    (usual("randint", max="8"), "max", "must be an integer"),
    (usual("randint", max=float("inf")), "max", "must be an integer"),
    (usual("randint", max=2**53 + 1), "max", "must be between -9.0072e+15 and 9.0072e+15"),
    (usual("qrandint", max=10**400), "max", "must be between -9.0072e+15 and 9.0072e+15"),
    (usual("quniform", q=0), "q", "must be greater than 0"),
    (usual("quniform", q=-0.5), "q", "must be greater than 0"),
    (usual("quniform", q=True), "q", "must be a number"),
    (usual("quniform", q=4), "min", "min=2 must be a multiple of q=4"),
    (usual("quniform", min=0.1, max=1.0, q=0.3), "min", "min=0.1 must be a multiple of q=0.3"),
    (usual("quniform", min=0.3, max=1.0, q=0.3), "max", "max=1 must be a multiple of q=0.3"),
    (usual("quniform", q=100), "q", "q must be at most max - min, got q=100"),
    (usual("quniform", max=1e300, q=1e-5), "q", "q=1e-05 is too fine for max=1e+300"),
    (usual("quniform", min=1 / 3, max=1.0), "q", "no power of ten divides both bounds, so q must be given"),
    (usual("qrandn", mean=1e20, q=0.1), "q", "q=0.1 is too fine for mean=1e+20 and sd=1"),
    (usual("qrandint", q=0), "q", "must be greater than or equal to 1"),
    (usual("qrandint", q=1.5), "q", "must be an integer"),
    (usual("qrandint", min=1, max=10, q=3), "min", "min=1 must be a multiple of q=3"),
    (usual("qlograndint", min=3, max=10, q=3), "max", "max=10 must be a multiple of q=3"),
    (usual("choice", options=[]), "options", "must not be empty"),
    (usual("grid_search", options=[]), "options", "must not be empty"),
    (usual("choice", options="ab"), "options", "must be a list"),
    (usual("choice", options={"a": 1}), "options", "must be a list"),
    (usual("choice", options=None), "options", "must be a list"),
    (usual("choice", options=[1, float("nan")]), "options[1]", "must be finite"),
    (usual("choice", options=[{"a": [float("inf")]}]), "options[0].a[0]", "must be finite"),
    (usual("choice", options=[{"a": {1: 2}}]), "options[0].a", "keys must be text, got 1"),
    (usual("choice", options=[b"x"]), "options[0]", "must be JSON, got bytes"),
    (usual("choice", options=["\ud800"]), "options[0]", "must be text that UTF-8 can hold"),
    (
        usual("choice", options=[[{"eval": "exit()"}]]),
        "options[0][0]",
        "must not be an object whose only key is 'eval'",
    ),
    (
        usual("choice", options=[{"a": {"grid_search": [1]}}]),
        "options[0].a",
        "must not be an object whose only key is 'grid_search'",
    ),
    (usual("choice", name=""), "name", "every part of a name between '/' must have characters"),
    (usual("choice", name=" "), "name", "every part of a name between '/' must have characters"),
    (usual("choice", name="a//b"), "name", "every part of a name between '/' must have characters"),
    (usual("choice", name="a/"), "name", "every part of a name between '/' must have characters"),
    (usual("choice", name="a/eval"), "name", "'eval' is reserved by Ray"),
    (usual("choice", name=5), "name", "must be a string"),
]


@pytest.mark.parametrize(("made", "where", "rule"), REFUSED)
def test_what_breaks_a_rule_is_refused_with_path_and_remedy(made: dict[str, Any], where: str, rule: str) -> None:
    broken = problems_of(made)
    assert [(at, said) for at, said, _ in broken] == [(where, rule)]
    assert broken[0][2], "a remedy"


@pytest.mark.parametrize("value", [3, None, "uniform", []])
def test_a_distribution_is_an_object(value: Any) -> None:
    assert problems_of(value) == [("", "must be an object", "Write {…}.")]


def test_all_problems_of_a_distribution_are_said_at_once() -> None:
    found = problems_of({"name": "", "type": "loguniform", "min": "a", "upper": 2, "q": 1})
    assert [where for where, _, _ in found] == ["name", "min", "base", "upper", "q"]


@pytest.mark.parametrize("kind", INTEGERS)
def test_an_integral_float_is_an_integer(kind: str) -> None:
    made = model(usual(kind, min=2.0, max=8.0))
    assert made == model(usual(kind))
    assert type(made.min) is int  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["uniform", "loguniform", "quniform"])
def test_an_integer_is_a_float(kind: str) -> None:
    assert type(model(usual(kind)).min) is float  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", QUANTISED)
def test_a_q_of_null_is_a_q_left_out(kind: str) -> None:
    assert model(usual(kind, q=None)) == model(usual(kind))


@pytest.mark.parametrize(("low", "high", "q"), [(0.2, 0.3, 0.1), (0.1, 0.7, 0.1), (0, 1e-5, 1e-5), (-0.3, 0.3, 0.3)])
def test_bounds_are_multiples_of_q_as_they_are_written(low: float, high: float, q: float) -> None:
    assert problems_of(usual("quniform", min=low, max=high, q=q)) == []


# By hand: a tenth of max - min, rounded down to a power of ten, then smaller until it divides both.
@pytest.mark.parametrize(
    ("low", "high", "q"),
    [
        (0.0001, 0.01, 0.0001),
        (0, 1, 0.1),
        (0, 0.5, 0.01),
        (0.001, 0.5, 0.001),
        (0.15, 0.85, 0.01),
        (10, 1000, 10),
        (15, 1000, 1),
        (-5, 5, 1),
        (5, 8, 0.1),
        (0.00001, 0.01, 0.00001),
        (-0.25, 0.25, 0.01),
        (1e6, 1.5e6, 1e4),
        (0, 9.99, 0.01),
        (0, 10, 1),
    ],
)
def test_a_missing_q_is_the_largest_power_of_ten_that_fits(low: float, high: float, q: float) -> None:
    made = QUniform.model_validate({"name": "x", "type": "quniform", "min": low, "max": high})
    assert made.q == q
    assert json.loads(made.model_dump_json())["q"] == q


@pytest.mark.parametrize(
    ("sd", "q"), [(1, 0.1), (10, 1), (9.99, 0.1), (0.5, 0.01), (0.002, 0.0001), (123, 10), (5e-10, 1e-11)]
)
def test_a_missing_q_of_qrandn_is_a_power_of_ten_up_to_a_tenth_of_sd(sd: float, q: float) -> None:
    assert QRandn.model_validate({"name": "x", "type": "qrandn", "mean": 0, "sd": sd}).q == q


@pytest.mark.parametrize("kind", ["qrandint", "qlograndint"])
def test_a_missing_q_of_an_integer_is_1(kind: str) -> None:
    assert model(usual(kind)).q == 1  # type: ignore[attr-defined]


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
@example(0.0, 1e-322)
@example(1e300, 1.0000000000000002e300)
@example(-1e300, 1e-300)
def test_a_found_q_divides_both_bounds(one: float, other: float) -> None:
    low, high = sorted((one, other))
    q = default_q(low, high) if low < high else None
    if q is not None:
        assert divides(q, low)
        assert divides(q, high)
        assert Decimal(repr(q)) * 10 <= Decimal(repr(high)) - Decimal(repr(low))


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.integers(-9, 9))
def test_bounds_of_a_few_digits_always_have_a_q(low: int, span: int, exponent: int) -> None:
    bounds = [float(Decimal(n).scaleb(exponent)) for n in (low, low + span)]
    q = default_q(*bounds)
    assert q is not None
    assert q >= float(Decimal(1).scaleb(exponent - 1))


@given(distribution_dicts())
def test_a_distribution_survives_json(made: dict[str, Any]) -> None:
    one = model(made)
    assert model(json.loads(one.model_dump_json())) == one
    assert model(one.model_dump(mode="json")) == one


@given(distributions(kinds=("uniform", "choice", "qrandint")))
def test_a_distribution_is_frozen(made: DistributionBase) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        made.name = "y"
