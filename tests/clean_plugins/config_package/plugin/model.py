"""The model that train() and tune() share."""

from __future__ import annotations


def fit(steps):
    if not isinstance(steps, int):
        raise TypeError(f"steps must be an int, got {steps!r}")
    for step in range(1, steps + 1):
        yield step, 1 / (1 + step)
