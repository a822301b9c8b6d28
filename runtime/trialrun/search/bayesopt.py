"""Bayesian optimisation with a Gaussian process: the adapter of bayesian-optimization.

The library provides the acquisition functions, the optimizer that holds the observations, and scikit-learn's Gaussian
process. The kernel and the search for the maximum of the acquisition come from `gaussian.py`, through the library's own
extension points: the library searches typed parameters by differential evolution, which takes 1 to 2 s per suggestion,
and its kernel has one length for parameters of any scale.

A suggestion evaluates a fixed number of points with at most 400 observations, the best and the newest, and fits the
kernel to at most 100 of them in a fixed number of steps. This bounds its time for studies of any length.

- The first points are a Latin hypercube.
- Running trials are in the model with the value that it predicts for them (the Kriging believer of Ginsbourger, Le
  Riche, Carraro: Kriging is well-suited to parallelize optimization, 2010). With four trials at once it did better than
  their constant liar. A running or tried point is not suggested again as long as the space has others.
- A failed trial counts as the worst value seen, so that the search moves away from it.
- A value far below the rest, such as the loss of a diverged trial, is raised to a limit, so that it does not flatten
  the differences between the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from bayes_opt import BayesianOptimization
from bayes_opt.acquisition import ExpectedImprovement, ProbabilityOfImprovement, UpperConfidenceBound
from threadpoolctl import ThreadpoolController

from trialrun.search.base import Mode, Point
from trialrun.search.gaussian import AcquisitionSearch, Array, Axis, Grid, select_informative, start_values
from trialrun.search.options import check_options, choice_option, count_option, option_error, positive_option
from trialrun.search.units import count_levels, from_unit, is_constant, to_unit
from trialrun.space import Category, Primitive, Real

__all__ = ["OPTIONS", "BayesOpt", "make"]

OPTIONS = {
    "acquisition": choice_option("ei", "ucb", "poi"),
    "kappa": positive_option(2.576, zero=True),
    "xi": positive_option(None, zero=True),
    "n_initial_points": count_option(None),
}
_ONLY_FOR = {"kappa": ("ucb",), "xi": ("ei", "poi")}
_XI = {"ei": 0.0, "poi": 0.01}  # in deviations of the values; ei explores without it, poi does not
_MAX_DESIGN_POINTS = 64  # the most points of the design; further ones are random
_MAX_OBSERVATIONS = 400  # observations in the model
_REFITS = 20  # the kernel is fitted again after 1/20 more observations
_FENCE = 3.0  # the limit below the median, in distances from the median to the best; lower values are raised to it


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> BayesOpt:
    """Return the algorithm. Raises RequestInvalid for an unknown option, a wrong value, or one without effect."""
    settings = check_options("bayesoptsearch", options, OPTIONS)
    for key, kinds in _ONLY_FOR.items():
        if key in options and settings["acquisition"] not in kinds:
            rule = f"does nothing with acquisition {settings['acquisition']!r}"
            raise option_error(key, rule, options[key], f"It goes with {' and '.join(kinds)}.")
    return BayesOpt(primitives, mode=mode, seed=seed, options=settings)


class BayesOpt:
    """The ask/tell interface: it keeps the observations, and each suggestion passes them to a new optimizer."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._constants = {name: from_unit(p, 0.0) for name, p in primitives.items() if is_constant(p)}
        self._primitives = {name: p for name, p in primitives.items() if not is_constant(p)}
        self._sign = 1.0 if mode == "max" else -1.0
        self._options = options
        self._grid = Grid([_build_axis(p) for p in self._primitives.values()])
        self._rng = np.random.default_rng(seed)
        self._initial = options["n_initial_points"] or max(4, min(10, 2 * len(self._primitives)))
        self._design = _latin_hypercube(self._rng, min(self._initial, _MAX_DESIGN_POINTS), len(self._primitives))
        self._asked = 0
        self._open: dict[str, Array] = {}
        self._seen: list[tuple[Array, float | None]] = []
        self._kernel_values = start_values(len(self._primitives))
        self._fitted = 0

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        given = dict(fixed or {})
        columns = {i: to_unit(p, given[name]) for i, (name, p) in enumerate(self._primitives.items()) if name in given}
        known = sum(value is not None for _, value in self._seen)
        if len(columns) == len(self._primitives):
            row = np.array([columns[i] for i in range(len(columns))], dtype=float)
        elif self._asked < self._initial or known < 2:
            row = self._next_design_point(columns)
        else:
            row = self._suggest_point(columns)
        self._asked += 1
        self._open[trial_id] = row
        free = {name: from_unit(p, float(unit)) for (name, p), unit in zip(self._primitives.items(), row, strict=True)}
        return {**self._constants, **free, **given}

    def tell(self, trial_id: str, value: float | None) -> None:
        row = self._open.pop(trial_id, None)
        if row is not None:
            self._seen.append((row, None if value is None or not math.isfinite(value) else float(value)))

    def state(self) -> Any:
        return {
            "design": self._design.tolist(),
            "asked": self._asked,
            "open": {trial_id: row.tolist() for trial_id, row in self._open.items()},
            "seen": [[row.tolist(), value] for row, value in self._seen],
            "kernel_values": self._kernel_values.tolist(),
            "fitted": self._fitted,
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Any) -> None:
        self._design = np.array(state["design"], dtype=float).reshape(-1, len(self._primitives))
        self._asked = state["asked"]
        self._open = {trial_id: np.array(row, dtype=float) for trial_id, row in state["open"].items()}
        self._seen = [(np.array(row, dtype=float), value) for row, value in state["seen"]]
        self._kernel_values = np.array(state["kernel_values"], dtype=float)
        self._fitted = state["fitted"]
        self._rng.bit_generator.state = state["rng"]

    def _next_design_point(self, fixed: Mapping[int, float]) -> Array:
        """Return the next point of the design, or a random one when that has been tried or the design is used up."""
        rows = (
            self._rng.permutation(whole)
            if (whole := self._grid.list_points({})) is not None
            else self._grid.sample(self._rng, 64)
        )
        if self._asked < len(self._design):
            rows = np.concatenate([self._grid.map_units(self._design[[self._asked]]), rows])
        return self._grid.pick_new_point(
            self._grid.fix_coordinates(rows, fixed), self._stack_running_rows(), self._stack_tried_rows()
        )

    def _suggest_point(self, fixed: Mapping[int, float]) -> Array:
        rows, values = self._build_observations()
        search = AcquisitionSearch(
            base=_build_acquisition(self._options),
            grid=self._grid,
            rng=self._rng,
            running=self._stack_running_rows(),
            tried=self._stack_tried_rows(),
            kernel_values=self._kernel_values,
            fit=len(self._seen) - self._fitted >= max(1, len(self._seen) // _REFITS),
            fixed=fixed,
        )
        optimizer = BayesianOptimization(
            None, dict.fromkeys(self._primitives, (0.0, 1.0)), acquisition_function=search, random_state=0, verbose=0
        )
        optimizer.set_gp_params(alpha=0.0, normalize_y=False, n_restarts_optimizer=0)
        for row, value in zip(rows, values, strict=True):
            optimizer.space.register(row, float(value))
        with _thread_controller().limit(limits=1):
            suggestion = optimizer.suggest()
        if search.fit:
            self._kernel_values, self._fitted = search.kernel_values, len(self._seen)
        return np.array([suggestion[name] for name in self._primitives])

    def _stack_running_rows(self) -> Array:
        return np.array(list(self._open.values())).reshape(-1, len(self._primitives))

    def _stack_tried_rows(self) -> Array:
        return np.array([row for row, _ in self._seen]).reshape(-1, len(self._primitives))

    def _build_observations(self) -> tuple[Array, Array]:
        """Return each tried point once, and its value: higher is better, mean 0 and deviation 1."""
        values = _normalize_values(np.array([math.nan if v is None else self._sign * v for _, v in self._seen]))
        merged: dict[tuple[float, ...], list[float]] = {}
        for (row, _), value in zip(self._seen, values, strict=True):
            merged.setdefault(tuple(row), []).append(float(value))
        rows, means = np.array(list(merged)), np.array([np.mean(several) for several in merged.values()])
        kept = select_informative(means, _MAX_OBSERVATIONS)
        spread = means[kept].std()
        return rows[kept], (means[kept] - means[kept].mean()) / (spread if spread > 0 else 1.0)


def _normalize_values(values: Array) -> Array:
    """Return values within [-1, 1]; those far below are raised to the limit, and NaN becomes the lowest."""
    with np.errstate(over="ignore"):
        best, middle = np.nanmax(values), np.nanmedian(values)
        fence = middle - _FENCE * (best - middle) if best > middle else -math.inf
    fenced = np.maximum(values, fence)  # NaN stays
    largest = np.nanmax(np.abs(fenced))
    return np.where(np.isnan(fenced), np.nanmin(fenced), fenced) / (largest or 1.0)


@cache
def _thread_controller() -> ThreadpoolController:
    """Return the control of thread pools: with small matrices beside busy trials, threads make it ten times slower."""
    return ThreadpoolController()


def _build_acquisition(options: Mapping[str, Any]) -> Any:
    if options["acquisition"] == "ucb":
        return UpperConfidenceBound(kappa=options["kappa"])
    kind = ExpectedImprovement if options["acquisition"] == "ei" else ProbabilityOfImprovement
    return kind(xi=_XI[options["acquisition"]] if options["xi"] is None else options["xi"])


def _latin_hypercube(rng: np.random.Generator, size: int, axes: int) -> Array:
    """Return points of which, along every axis, one falls into each of `size` equal parts."""
    parts = np.array([rng.permutation(size) for _ in range(axes)], dtype=float).reshape(axes, size).T
    return (parts + rng.random((size, axes))) / size


def _build_axis(primitive: Primitive) -> Axis:
    if not isinstance(primitive, Real):
        return Axis(levels=int(count_levels(primitive)), category=isinstance(primitive, Category))
    snap = primitive.snap
    return Axis(snap=snap and (lambda unit: to_unit(primitive, snap(from_unit(primitive, unit)))))
