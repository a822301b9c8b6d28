"""Bayesian optimisation with BoTorch: the adapter of Ax, an extra.

Balandat et al.: BoTorch, a framework for efficient Monte-Carlo Bayesian optimization (NeurIPS 2020). Ax gets parameters
and the objective under names of this module, because it reads names as formulas. It refuses to suggest a point twice,
and in a small space with few points left it searches for minutes and then gives up. Therefore, when three quarters have
been tried, the rest is drawn at random, and when none is left, points that are not running are repeated. A failed trial
is marked as failed in Ax, which does not learn from its point.

A suggestion takes a second or more, because BoTorch fits its model each time; the other adapters take hundredths.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from trialrun.search.base import Mode, Point
from trialrun.search.options import check_options, choice_option, count_option, missing_library_error
from trialrun.search.units import count_levels, from_unit, is_constant, to_unit
from trialrun.space import Category, Integer, Primitive

try:
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
    from ax.exceptions.core import DataRequiredError, SearchSpaceExhausted
    from ax.exceptions.generation_strategy import AxGenerationException, MaxParallelismReachedException
except ModuleNotFoundError as error:
    raise missing_library_error("axsearch", error, library="ax", extra="ax") from error

__all__ = ["OPTIONS", "Ax", "make"]

OPTIONS = {"method": choice_option("fast", "quality", "random_search"), "n_initial_points": count_option(None)}

_NO_POINT = (SearchSpaceExhausted, DataRequiredError, AxGenerationException, MaxParallelismReachedException)
_MAX_INTEGER_RANGE = 2**31  # integers of a wider range are searched as numbers in [0, 1], like reals
_SMALL_SPACE = 1000  # a space of at most so many points may be exhausted


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> Ax:
    """Return the algorithm. Raises RequestInvalid for an unknown option or a wrong value."""
    return Ax(primitives, mode=mode, seed=seed, options=check_options("axsearch", options, OPTIONS))


class Ax:
    """The ask/tell interface over Ax's `Client`, which identifies trials by index."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._constants = {name: from_unit(p, 0.0) for name, p in primitives.items() if is_constant(p)}
        self._primitives = {name: p for name, p in primitives.items() if not is_constant(p)}
        self._names = {name: f"p{index}" for index, name in enumerate(self._primitives)}
        self._objective = "objective" if mode == "max" else "-objective"
        self._seed = seed
        self._options = options
        self._reset_client()

    def _reset_client(self, already: int = 0) -> None:
        self._rng = random.Random(f"{self._seed} {already}")  # noqa: S311  # nothing here is secret
        self._trials: list[dict[str, Any]] = []
        self._open: dict[str, int] = {}
        with _suppress_output():
            self._client = Client(random_seed=self._rng.randrange(2**31))
            if not self._primitives:
                return
            self._client.configure_experiment(
                parameters=[_build_parameter(self._names[n], p) for n, p in self._primitives.items()]
            )
            self._client.configure_optimization(objective=self._objective)
            self._client.configure_generation_strategy(
                method=self._options["method"],
                initialization_budget=self._options["n_initial_points"],
                initialization_random_seed=self._rng.randrange(2**31),
                initialize_with_center=False,
                allow_exceeding_initialization_budget=True,
            )

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        given = {name: value for name, value in (fixed or {}).items() if name in self._primitives}
        index, point = (None, {}) if not self._primitives else self._create_trial(given)
        self._open[trial_id] = len(self._trials)
        self._trials.append({"index": index, "point": point, "state": "RUNNING", "value": None})
        return {**self._constants, **point, **(fixed or {})}

    def _create_trial(self, given: Point) -> tuple[int, Point]:
        with _suppress_output():
            if len(given) < len(self._primitives):
                left = self._list_candidates(given)
                if left is None:
                    with contextlib.suppress(*_NO_POINT):
                        return self._generate_trial(given)
                given = self._pick_point(given, left)
            return self._attach_trial(given), given

    def _list_candidates(self, given: Point) -> list[Point] | None:
        """Return the points of a small space to draw from, or None when enough are left for Ax."""
        free = [count_levels(p) for name, p in self._primitives.items() if name not in given]
        if math.prod(min(size, _SMALL_SPACE + 1.0) for size in free) > _SMALL_SPACE:
            return None
        lines = [[given[name]] if name in given else _list_values(p) for name, p in self._primitives.items()]
        points = [dict(zip(self._primitives, values, strict=True)) for values in itertools.product(*lines)]
        tried = [trial["point"] for trial in self._trials]
        new = [point for point in points if point not in tried]
        if len(new) * 4 > len(points):
            return None
        running = [self._trials[number]["point"] for number in self._open.values()]
        return new or [point for point in points if point not in running] or points

    def _pick_point(self, given: Point, left: list[Point] | None) -> Point:
        if left:
            return self._rng.choice(left)
        return {**{name: p.sample(self._rng) for name, p in self._primitives.items()}, **given}

    def _generate_trial(self, given: Point) -> tuple[int, Point]:
        fixed = self._encode_point(given)
        [(index, named)] = self._client.get_next_trials(max_trials=1, fixed_parameters=fixed or None).items()
        point = {name: _decode_value(p, named[self._names[name]]) for name, p in self._primitives.items()}
        return index, {**point, **given}

    def _attach_trial(self, point: Point) -> int:
        return int(self._client.attach_trial(self._encode_point(point)))

    def _encode_point(self, point: Point) -> Point:
        return {self._names[name]: _encode_value(self._primitives[name], value) for name, value in point.items()}

    def tell(self, trial_id: str, value: float | None) -> None:
        number = self._open.pop(trial_id, None)
        if number is not None:
            value = None if value is None or not math.isfinite(value) else float(value)
            trial = self._trials[number]
            trial.update(state="FAILED" if value is None else "COMPLETED", value=value)
            self._report_result(trial)

    def _report_result(self, trial: Mapping[str, Any]) -> None:
        if trial["index"] is None or trial["state"] == "RUNNING":
            return
        with _suppress_output():
            if trial["value"] is None:
                self._client.mark_trial_failed(trial_index=trial["index"])
            else:
                data = {"objective": trial["value"]}
                self._client.complete_trial(trial_index=trial["index"], raw_data=data)

    def state(self) -> Any:
        trials = [{key: trial[key] for key in ("point", "state", "value")} for trial in self._trials]
        return {"trials": trials, "open": dict(self._open)}

    def restore(self, state: Any) -> None:
        """Add all trials to a new client, whose seed differs so that it does not begin with the same points."""
        self._reset_client(already=len(state["trials"]))
        for saved in state["trials"]:
            with _suppress_output():
                index = self._attach_trial(saved["point"]) if self._primitives else None
            self._trials.append({**saved, "point": dict(saved["point"]), "index": index})
            self._report_result(self._trials[-1])
        self._open = {trial_id: int(number) for trial_id, number in state["open"].items()}


@contextlib.contextmanager
def _suppress_output() -> Iterator[None]:
    """Silence Ax, which logs every trial to stderr, and its libraries' warnings of numerical problems they solve."""
    levels = [(handler, handler.level) for handler in logging.getLogger("ax").handlers]
    for handler, _ in levels:
        handler.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler, level in levels:
            handler.setLevel(level)


def _build_parameter(name: str, primitive: Primitive) -> Any:
    if isinstance(primitive, Category):
        values = list(range(primitive.size))
        return ChoiceParameterConfig(name=name, values=values, parameter_type="int", is_ordered=False)
    if _is_integer(primitive):
        return RangeParameterConfig(name=name, bounds=(primitive.low, primitive.high), parameter_type="int")
    return RangeParameterConfig(name=name, bounds=(0.0, 1.0), parameter_type="float")


def _is_integer(primitive: Primitive) -> bool:
    return isinstance(primitive, Integer) and count_levels(primitive) <= _MAX_INTEGER_RANGE


def _encode_value(primitive: Primitive, value: Any) -> float | int:
    """Return a value in Ax's form."""
    return int(value) if isinstance(primitive, Category) or _is_integer(primitive) else to_unit(primitive, value)


def _decode_value(primitive: Primitive, value: Any) -> float | int:
    return int(value) if isinstance(primitive, Category) or _is_integer(primitive) else from_unit(primitive, value)


def _list_values(primitive: Primitive) -> list[Any]:
    return [from_unit(primitive, at / (count_levels(primitive) - 1)) for at in range(int(count_levels(primitive)))]
