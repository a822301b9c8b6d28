"""The number of trials that a job runs, and warnings of what is allowed but probably not meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trialrun_hookspecs.distributions import GridSearch
from trialrun_hookspecs.request import GRID_ALGORITHM, Request

__all__ = ["advice", "count_trials"]


def count_trials(request: Request) -> int | None:
    """Return the number of trials that the job runs; None in training mode.

    A grid is repeated num_samples times. A point to evaluate replaces one sample; when it fixes a grid parameter, the
    grid of that sample is smaller. Points beyond num_samples add trials to random and grid search.
    """
    params = request.params
    if params.tune_config is None or params.hyperparameters is None:
        return None
    samples, points = params.tune_config.num_samples, params.tune_config.search_alg.points_to_evaluate
    if params.tune_config.search_alg.name != GRID_ALGORITHM:
        return samples
    grids = {d.name: len(d.options) for d in params.hyperparameters if isinstance(d, GridSearch)}
    whole = math.prod(grids.values())
    for_points = (
        math.prod(size for name, size in grids.items() if not _has_fixed_value(point, name)) for point in points
    )
    return sum(for_points) + whole * max(0, samples - len(points))


def _has_fixed_value(point: Any, name: str) -> bool:
    """Return whether a point, in flat or nested form, has a value for the hyperparameter."""
    if not isinstance(point, Mapping):
        return False
    head, slash, rest = name.partition("/")
    return name in point or (bool(slash) and _has_fixed_value(point.get(head), rest))


def advice(request: Request) -> list[str]:
    """Return a warning for each setting that is allowed but probably not meant."""
    params, total = request.params, count_trials(request)
    if params.tune_config is None or total is None:
        return []
    config = params.tune_config
    grid = math.prod(len(d.options) for d in params.hyperparameters or () if isinstance(d, GridSearch))
    warnings = []
    if 1 < grid == config.num_samples and config.search_alg.name == GRID_ALGORITHM:
        warnings.append(
            f"params.tune_config.num_samples: the grid has {grid} points and is repeated {config.num_samples} times, "
            f"which makes {total} trials. Set num_samples to 1 to run each point once."
        )
    points = len(config.search_alg.points_to_evaluate)
    if points > config.num_samples:
        what = f"all are tried, which makes {total} trials"
        if config.search_alg.name != GRID_ALGORITHM:
            what = f"only the first {config.num_samples} are tried"
        warnings.append(
            f"params.tune_config.search_alg.points_to_evaluate: {points} points for num_samples={config.num_samples}: "
            f"{what}. Set num_samples to at least {points}."
        )
    return warnings
