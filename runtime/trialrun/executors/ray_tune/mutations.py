"""The mutations of PBT and PB2: within the job's own distributions, never a value outside of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trialrun.compat import mutable_names
from trialrun.executors.ray_tune.space import make_domain
from trialrun.space import Space, flatten_values, nest_values, round_to_step
from trialrun_hookspecs.distributions import Choice, LogRandint, Randint
from trialrun_hookspecs.request import Params

__all__ = ["build_mutation_options", "project_value"]


def build_mutation_options(params: Params, space: Space) -> dict[str, Any]:
    """Return the scheduler options for mutations; empty for schedulers that change nothing."""
    name = params.tuning.scheduler.name
    if name not in ("pbt", "pb2"):
        return {}
    names = mutable_names(params)
    if name == "pb2":
        bounds = {n: [float(space.distributions[n].min), float(space.distributions[n].max)] for n in names}
        return {"hyperparam_bounds": bounds, "custom_explore_fn": _make_explorer(space, names)}
    mutations = {n: _build_mutation(space.distributions[n]) for n in names}
    return {"hyperparam_mutations": nest_values(mutations), "custom_explore_fn": _make_explorer(space, names)}


def _build_mutation(distribution: Any) -> Any:
    """Return what Ray mutates: it moves along a list, and multiplies the value of a domain."""
    return list(distribution.options) if isinstance(distribution, Choice) else make_domain(distribution)


def _make_explorer(space: Space, names: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that Ray calls after it perturbed a config: 1.2 times the maximum is outside the space."""

    def clamp_config(config: dict[str, Any]) -> dict[str, Any]:
        flat = flatten_values(config, space.names)
        return nest_values({**flat, **{name: project_value(space.distributions[name], flat[name]) for name in names}})

    return clamp_config


def project_value(distribution: Any, value: Any) -> Any:
    """Return the value of the distribution that is nearest to `value`."""
    if isinstance(distribution, Choice):
        return value
    if hasattr(distribution, "min"):
        excluded = isinstance(distribution, Randint | LogRandint)
        value = min(max(value, distribution.min), distribution.max - 1 if excluded else distribution.max)
    q = getattr(distribution, "q", 1 if distribution.integer else None)
    value = value if q is None else round_to_step(float(value), q)
    return int(value) if distribution.integer else float(value)
