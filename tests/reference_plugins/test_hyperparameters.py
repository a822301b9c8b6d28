"""Rules for hyperparameters: what is filled in, and what is refused, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun_hookspecs import BadValue
from trialrun_reference.hyperparameters import make_count_rule, make_number_rule, resolve_settings

RULES = {
    "epochs": make_count_rule(),
    "rate": make_number_rule("above 0", lambda value: value > 0, 0.5),
    "width": make_count_rule(8, fixed=True),
}
COUNTS = st.integers(1, 10**9)


def test_what_is_not_given_is_the_default() -> None:
    assert resolve_settings(RULES, {"epochs": 3}, None) == {"epochs": 3, "rate": 0.5, "width": 8}


@given(COUNTS, st.floats(1e-9, 1e9), COUNTS)
def test_what_is_settled_is_settled_again_as_it_is(epochs: int, rate: float, width: int) -> None:
    once = resolve_settings(RULES, {"epochs": float(epochs), "rate": rate, "width": width}, None)
    assert once == {"epochs": epochs, "rate": rate, "width": width}
    assert type(once["epochs"]) is int
    assert resolve_settings(RULES, once, once) == once
    assert resolve_settings(RULES, {"epochs": epochs}, once) == once


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, float("nan"), float("inf")])
def test_what_is_no_count_is_refused(value: Any) -> None:
    with pytest.raises(BadValue, match="a whole number of at least 1"):
        resolve_settings(RULES, {"epochs": value}, None)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(BadValue) as refused:
        resolve_settings(RULES, {"rate": 0, "width": 9, "depth": 2}, {"epochs": 5, "rate": 1.0, "width": 8})
    told = {problem.where: (problem.rule, problem.got) for problem in refused.value.problems}
    assert told == {
        "hyperparameter 'depth'": ("is not known", ""),
        "hyperparameter 'epochs'": ("must be a whole number of at least 1", "nothing"),  # not that of the checkpoint
        "hyperparameter 'rate'": ("must be above 0", "0"),
        "hyperparameter 'width'": ("is 8 in the checkpoint", "9"),
    }
