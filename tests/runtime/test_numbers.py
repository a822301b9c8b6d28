"""One rule says what counts as a number: a bool does not, and a finite number fits a double."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from trialrun.numbers import is_finite_number, is_number


@pytest.mark.parametrize("value", [0, -3, 2.5, 5e-324, sys.float_info.max, -sys.float_info.max, 10**308])
def test_ints_and_floats_are_finite_numbers(value: Any) -> None:
    assert is_number(value)
    assert is_finite_number(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400)])
def test_what_no_double_holds_is_a_number_but_not_finite(value: Any) -> None:
    assert is_number(value)
    assert not is_finite_number(value)


@pytest.mark.parametrize("value", [True, False, None, "1", "nan", [1], {}, 1j, b"1"])
def test_bools_and_other_values_are_no_numbers(value: Any) -> None:
    assert not is_number(value)
    assert not is_finite_number(value)
