"""Importance: an estimate of how much of the objective each hyperparameter explains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trialrun.numbers import is_number

__all__ = ["METHOD", "MIN_TRIALS", "estimate_importance"]

MIN_TRIALS = 12
"""No estimate is made of fewer trials."""

METHOD = (
    "Estimate: the share of the variance of the objective's ranks that lies between groups of trials with similar"
    " values (ω², one hyperparameter at a time, up to six groups of equal size; interactions are ignored)."
)
GROUPS = 6


def estimate_importance(points: Sequence[tuple[Mapping[str, Any], float]], names: Sequence[str]) -> dict[str, float]:
    """Return the share of each name, 0..1, highest first; empty for fewer than MIN_TRIALS points.

    Ranks keep one diverged trial from deciding; ω² instead of η² keeps a hyperparameter with many values from looking
    important by chance.
    """
    if len(points) < MIN_TRIALS:
        return {}
    ranks = _rank_values([objective for _, objective in points])
    shares = {name: _omega_squared(_group_values([config.get(name) for config, _ in points]), ranks) for name in names}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _rank_values(values: Sequence[float]) -> list[float]:
    """Return ranks from 1 for the lowest; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def _group_values(values: Sequence[Any]) -> list[Any]:
    """Return a label for each value: a group of equal size when most are different numbers, else the value itself."""
    numbers = all(is_number(value) and value == value for value in values)  # NaN cannot be ranked
    if not numbers or len(set(values)) <= GROUPS:
        return [value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values]
    ranks = _rank_values([float(value) for value in values])
    groups = min(GROUPS, max(len(values) // 4, 2))
    return [int((rank - 0.5) * groups / len(values)) for rank in ranks]


def _omega_squared(labels: Sequence[Any], ranks: Sequence[float]) -> float:
    count, mean = len(ranks), sum(ranks) / len(ranks)
    total = sum((rank - mean) ** 2 for rank in ranks)
    members: dict[Any, list[float]] = {}
    for label, rank in zip(labels, ranks, strict=True):
        members.setdefault(label, []).append(rank)
    if total == 0.0 or len(members) < 2 or len(members) >= count:
        return 0.0
    between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in members.values())
    within = (total - between) / (count - len(members))
    return min(max((between - (len(members) - 1) * within) / (total + within), 0.0), 1.0)
