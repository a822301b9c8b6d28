"""Conversion of the 12 distributions to Ray's domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.search.sample import Float

from trialrun.space import Space, nest_values, round_to_step
from trialrun_hookspecs.distributions import (
    Choice,
    DistributionBase,
    GridSearch,
    LogRandint,
    LogUniform,
    QLogRandint,
    QLogUniform,
    QRandint,
    QRandn,
    QUniform,
    Randint,
    Randn,
    Uniform,
)

__all__ = ["DOMAINS", "build_param_space", "make_domain"]


class _Decimal(Float):
    """A `Float` whose values keep the decimals of q: Ray would return 0.30000000000000004 for 3 x 0.1."""

    def __init__(self, low: float | None, high: float | None, q: float) -> None:
        super().__init__(low, high)
        self._q = q

    def cast(self, value: float) -> float:
        return round_to_step(value, self._q)


def _make_quantized(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda d: make(d).quantized(d.q)


def _make_range(d: Any) -> Any:
    return _Decimal(d.min, d.max, d.q)


def _make_unbounded(d: Any) -> Any:
    return _Decimal(None, None, d.q)


def _get_upper_bound(d: Any) -> Any:
    return d.max + 1 if d.q == 1 else d.max  # Ray includes the top, except for a q of 1


# `base` is never passed where Ray would read it as q.
DOMAINS: dict[type[DistributionBase], Callable[[Any], Any]] = {
    Uniform: lambda d: tune.uniform(d.min, d.max),
    QUniform: _make_quantized(lambda d: _make_range(d).uniform()),
    LogUniform: lambda d: tune.loguniform(d.min, d.max),
    QLogUniform: _make_quantized(lambda d: _make_range(d).loguniform()),
    Randn: lambda d: tune.randn(d.mean, d.sd),
    QRandn: _make_quantized(lambda d: _make_unbounded(d).normal(d.mean, d.sd)),
    Randint: lambda d: tune.randint(d.min, d.max),
    QRandint: lambda d: tune.qrandint(d.min, _get_upper_bound(d), d.q),
    LogRandint: lambda d: tune.lograndint(d.min, d.max),
    QLogRandint: lambda d: tune.qlograndint(d.min, _get_upper_bound(d), d.q),
    Choice: lambda d: tune.choice(list(d.options)),
    GridSearch: lambda d: tune.grid_search(list(d.options)),
}


def make_domain(distribution: DistributionBase) -> Any:
    """Return Ray's domain object, or grid dict, for one distribution."""
    return DOMAINS[type(distribution)](distribution)


def build_param_space(space: Space) -> dict[str, Any]:
    """Return the space for `ray.tune.Tuner(param_space=…)`, nested where names have a `/`."""
    return nest_values({name: make_domain(d) for name, d in space.distributions.items()})
