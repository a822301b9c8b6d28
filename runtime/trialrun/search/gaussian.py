"""A Gaussian process over a mixed space, and the point where its acquisition is highest.

Points are rows of numbers in [0, 1], one per axis. An axis with levels has only its levels, evenly spaced: no point
between them is ever looked at, so the model is that of Garrido-Merchán and Hernández-Lobato (Dealing with categorical
and integer-valued variables in Bayesian optimization with Gaussian processes, Neurocomputing 380, 2020), who round
inside the kernel. Levels of a category are all equally far apart.

The kernel is Matérn 5/2 with one length per axis; a category has one length too, where one-hot columns would have as
many as it has options. Its parameters are the most probable ones under weak priors, since few observations fit many
lengths (the prior on lengths: Hvarfner, Hellsten, Nardi: Vanilla Bayesian optimization performs great in high
dimensions, ICML 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bayes_opt.acquisition import AcquisitionFunction
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

__all__ = ["AcquisitionSearch", "Axis", "Grid", "Matern52", "fit_most_probable", "select_informative", "start_values"]

Array = NDArray[np.float64]

_BOUNDS = {"amplitude": (0.05, 20.0), "noise": (1e-6, 1.0), "length": (0.02, 50.0)}
_FIT_STEPS = 40  # of L-BFGS, each a few times the cost of one likelihood
_MAX_FITTED = 100  # observations that the kernel is fitted to
_WHOLE_GRID = 1000  # a grid of no more points than this is looked at whole
_SAMPLES = 800
_ELITES = 6
_NEIGHBORS_PER_ELITE = 24  # per elite in each round
_REACHES = tuple(np.geomspace(0.25, 0.0005, 12))  # how far the neighbours of each round lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One dimension of the unit cube: any number, `levels` of them evenly spaced, or those that `snap` gives."""

    levels: int = 0
    category: bool = False
    snap: Callable[[float], float] | None = None


class Grid:
    """The points of the unit cube that mean something, and how to move among them."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)
        self.categories = np.array([axis.category for axis in axes], dtype=bool)
        self._last = np.array([max(axis.levels - 1, 1) for axis in axes], dtype=float)
        self._discrete = np.array([axis.levels > 0 for axis in axes], dtype=bool)

    def map_units(self, units: Array) -> Array:
        """Return points for uniform numbers; every level is equally likely."""
        levels = np.minimum(np.floor(units * (self._last + 1)), self._last) / self._last
        return self._snap_points(np.where(self._discrete, levels, units))

    def _snap_points(self, points: Array) -> Array:
        for column, axis in enumerate(self.axes):
            if axis.snap:
                points[:, column] = [axis.snap(float(unit)) for unit in points[:, column]]
        return points

    def sample(self, rng: np.random.Generator, size: int) -> Array:
        return self.map_units(rng.random((size, len(self.axes))))

    def list_points(self, fixed: Mapping[int, float]) -> Array | None:
        """Return all points with these `fixed` coordinates, or None when there are too many."""
        size = 1
        for column, axis in enumerate(self.axes):
            size *= 1 if column in fixed else axis.levels or _WHOLE_GRID + 1
            if size > _WHOLE_GRID:
                return None
        lines = [
            np.array([fixed[i]]) if i in fixed else np.arange(axis.levels) / self._last[i]
            for i, axis in enumerate(self.axes)
        ]
        return np.stack([part.ravel() for part in np.meshgrid(*lines, indexing="ij")], axis=1)

    def fix_coordinates(self, points: Array, fixed: Mapping[int, float]) -> Array:
        """Return the points with these coordinates in place of their own."""
        points = points.copy()
        for column, value in fixed.items():
            points[:, column] = value
        return points

    def pick_new_point(self, points: Array, running: Array, tried: Array) -> Array:
        """Return the first point that is neither running nor tried, else the first not running, else the first."""
        now, before = {_row_key(row) for row in running}, {_row_key(row) for row in tried}
        for avoided in (now | before, now):
            new = next((at for at, row in enumerate(points) if _row_key(row) not in avoided), None)
            if new is not None:
                return np.asarray(points[new])
        return np.asarray(points[0])

    def sample_neighbors(self, rng: np.random.Generator, centres: Array, *, each: int, reach: float) -> Array:
        """Return `each` points around every centre; half of the coordinates move, by `reach` or at least one level."""
        points = np.repeat(centres, each, axis=0)
        moved = rng.random(points.shape) < max(0.5, 1 / max(len(self.axes), 1))
        step = rng.standard_normal(points.shape) * np.where(self._discrete, np.maximum(reach, 1 / self._last), reach)
        near = np.clip(points + step, 0.0, 1.0)
        near = np.where(self._discrete, np.round(near * self._last) / self._last, near)
        other = np.where(self.categories & (rng.random(points.shape) < 0.5), self.sample(rng, len(points)), points)
        return self._snap_points(np.where(moved, np.where(self.categories, other, near), points))


class Matern52(Kernel):  # type: ignore[misc]  # scikit-learn ships no types
    """Matérn 5/2 with noise on what was observed; `values` are amplitude, noise and the length of each axis."""

    def __init__(self, values: Array, categories: Array) -> None:
        self.values = values
        self.categories = categories

    @property
    def hyperparameter_values(self) -> Any:
        size = len(self.values)  # wide bounds, because scikit-learn warns of every value at a bound
        return Hyperparameter("values", "numeric", np.array([[1e-9, 1e9]] * size), size)

    def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:
        amplitude, noise = self.values[0], self.values[1]
        weights = self.values[2:] ** -2.0
        root = np.sqrt(5 * self._compute_distances(X, X if Y is None else Y, weights))
        decay = np.exp(-root)
        shape = amplitude * (1 + root + root**2 / 3) * decay
        if Y is not None:
            return shape
        if not eval_gradient:
            return shape + noise * np.eye(len(X))
        slope = amplitude * 5 / 3 * (1 + root) * decay  # by the logarithm of a length, per weighted square
        lengths = [weight * self._axis_distances(axis, X, X) * slope for axis, weight in enumerate(weights)]
        return shape + noise * np.eye(len(X)), np.stack([shape, noise * np.eye(len(X)), *lengths], axis=-1)

    def _compute_distances(self, X: Array, Y: Array, weights: Array) -> Array:
        """Weighted squared distances; one matrix at a time, for there may be many axes."""
        numbers = np.logical_not(self.categories)
        scale = np.sqrt(weights[numbers])
        total = np.asarray(cdist(X[:, numbers] * scale, Y[:, numbers] * scale, "sqeuclidean"))
        for axis in np.flatnonzero(self.categories).tolist():
            total += weights[axis] * self._axis_distances(axis, X, Y)
        return total

    def _axis_distances(self, axis: int, X: Array, Y: Array) -> Array:
        apart = X[:, axis, None] - Y[None, :, axis]
        return (apart != 0).astype(float) if self.categories[axis] else apart**2

    def diag(self, X: Array) -> Array:
        """Return the variance of the function itself, without the noise."""
        return np.full(len(X), self.values[0])

    def is_stationary(self) -> bool:
        return True


def select_informative(values: Array, limit: int) -> NDArray[np.intp]:
    """Return the indexes of the best and the newest of these, half of each, in order; all within the limit."""
    if len(values) <= limit:
        return np.arange(len(values))
    newest = np.arange(len(values) - limit // 2, len(values))
    older = np.argsort(-values[: newest[0]], kind="stable")[: limit - len(newest)]
    return np.concatenate([np.sort(older), newest])


def start_values(axes: int) -> Array:
    """Return the kernel's values from which the fit starts."""
    return np.array([1.0, 1e-4, *[0.5 * math.sqrt(max(axes, 1))] * axes])


def fit_most_probable(objective: Callable[..., Any], start: Array, bounds: Array) -> tuple[Array, float]:
    """Return the most probable logarithms of the kernel's values, from two starts, as scikit-learn's `optimizer`."""
    axes = len(start) - 2
    within = np.log([_BOUNDS["amplitude"], _BOUNDS["noise"], *[_BOUNDS["length"]] * axes])
    centre = np.array([0.0, -8.0, *[math.sqrt(2) - 3 + math.log(max(axes, 1)) / 2] * axes])  # modes
    spread = np.array([1.0, 3.0, *[math.sqrt(3)] * axes])

    def energy(theta: Array) -> tuple[float, Array]:
        value, slope = objective(theta)
        away = (theta - centre) / spread
        return float(value + (away**2).sum() / 2), slope + away / spread

    starts = [start, np.log(start_values(axes))]
    found = [
        minimize(energy, at, jac=True, bounds=within, method="L-BFGS-B", options={"maxiter": _FIT_STEPS})
        for at in starts[: 1 if np.allclose(starts[0], starts[1]) else 2]
    ]
    best = min(found, key=lambda result: float(result.fun))
    return best.x, float(best.fun)


@dataclass(kw_only=True)
class AcquisitionSearch(AcquisitionFunction):
    """The library's `base` acquisition, maximised over a grid by a fixed number of model evaluations.

    `running` are the rows without a value yet: the model takes its own prediction for each, and does not suggest them.
    `kernel_values` are fitted first when `fit` is true, and kept for the next suggestion.
    """

    base: Any
    grid: Grid
    rng: np.random.Generator
    running: Array
    tried: Array
    kernel_values: Array
    fit: bool = True
    fixed: Mapping[int, float] = field(default_factory=dict)
    i: int = 0  # the library's own count of suggestions

    def base_acq(self, mean: Array, std: Array) -> Any:
        return self.base.base_acq(mean, np.maximum(std, 1e-9))

    def suggest(self, gp: Any, target_space: Any, *args: Any, **kwargs: Any) -> Array:
        """Return the point with the highest acquisition that is neither running nor known already, if there is one."""
        if self.fit:
            self._fit_kernel(gp, target_space)
        gp.set_params(kernel=Matern52(self.kernel_values, self.grid.categories), optimizer=None)
        gp.fit(target_space.params, target_space.target)
        if len(self.running):
            believed = gp.predict(self.running)
            points = np.concatenate([target_space.params, self.running])
            gp.fit(points, np.concatenate([target_space.target, believed]))
        self.base.y_max = float(gp.predict(gp.X_train_).max())  # with running points, so that not all go to one peak
        whole = self.grid.list_points(self.fixed)
        pool, heights = (
            self._climb_acquisition(gp, target_space) if whole is None else (whole, self._evaluate_points(gp, whole))
        )
        return self.grid.pick_new_point(pool[np.argsort(-heights, kind="stable")], self.running, self.tried)

    def _fit_kernel(self, gp: Any, target_space: Any) -> None:
        rows = select_informative(target_space.target, _MAX_FITTED)
        gp.set_params(kernel=Matern52(self.kernel_values, self.grid.categories), optimizer=fit_most_probable)
        gp.fit(target_space.params[rows], target_space.target[rows])
        self.kernel_values = gp.kernel_.values

    def _evaluate_points(self, gp: Any, points: Array) -> Array:
        mean, std = gp.predict(points, return_std=True)
        return np.asarray(self.base_acq(mean, std))

    def _climb_acquisition(self, gp: Any, target_space: Any) -> tuple[Array, Array]:
        best = target_space.params[np.argsort(-target_space.target)[:_ELITES]]
        start = [self.grid.sample(self.rng, _SAMPLES)]
        start += [
            self.grid.sample_neighbors(self.rng, best, each=_NEIGHBORS_PER_ELITE, reach=reach) for reach in (0.1, 0.01)
        ]
        pool = self.grid.fix_coordinates(np.concatenate(start), self.fixed)
        heights = self._evaluate_points(gp, pool)
        for reach in _REACHES:
            elites = pool[np.argsort(-heights, kind="stable")[:_ELITES]]
            near = self.grid.fix_coordinates(
                self.grid.sample_neighbors(self.rng, elites, each=_NEIGHBORS_PER_ELITE, reach=reach), self.fixed
            )
            pool, heights = np.concatenate([pool, near]), np.concatenate([heights, self._evaluate_points(gp, near)])
        return pool, heights


def _row_key(row: Array) -> tuple[float, ...]:
    return tuple(np.round(row, 9))
