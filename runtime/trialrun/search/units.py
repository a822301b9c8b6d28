"""Primitives on the unit interval, for libraries that depend on the width of a range."""

from __future__ import annotations

import math
from typing import Any

from trialrun.space import Category, Primitive, Real

__all__ = ["count_levels", "from_unit", "is_constant", "to_unit"]


def count_levels(primitive: Primitive) -> float:
    """Return the number of values of a primitive, or infinity."""
    if isinstance(primitive, Real):
        return 1 if primitive.low == primitive.high else math.inf
    return primitive.size if isinstance(primitive, Category) else primitive.high - primitive.low + 1


def is_constant(primitive: Primitive) -> bool:
    return count_levels(primitive) == 1


def from_unit(primitive: Primitive, unit: float) -> float | int:
    """Return the value at this place in [0, 1]; the first and the last are at 0 and 1."""
    low = 0 if isinstance(primitive, Category) else primitive.low
    if not isinstance(primitive, Real):
        return low + round(unit * (count_levels(primitive) - 1))
    return float(min(max(primitive.low + unit * (primitive.high - primitive.low), primitive.low), primitive.high))


def to_unit(primitive: Primitive, value: Any) -> float:
    """Return the value's place in [0, 1]; 0 for a constant."""
    if is_constant(primitive):
        return 0.0
    if isinstance(primitive, Real):
        return min(max((float(value) - primitive.low) / (primitive.high - primitive.low), 0.0), 1.0)
    low = 0 if isinstance(primitive, Category) else primitive.low
    return float((int(value) - low) / (count_levels(primitive) - 1))
