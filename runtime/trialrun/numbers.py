"""The rule for what counts as a number in plain values, as JSON has them."""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

__all__ = ["is_finite_number", "is_number"]

_LARGEST = sys.float_info.max


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return True for an int or a float, NaN and the infinities included; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite_number(value: Any) -> TypeGuard[int | float]:
    """Return True for a number that a double can hold: not NaN, not infinite, and no int beyond the largest float."""
    return is_number(value) and abs(value) <= _LARGEST
