"""The registry of search algorithms: check a job against them, and create the one that it names."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from trialrun.compat import ALGORITHMS, find_incompatibilities
from trialrun.search.base import Algorithm, Factory, Point
from trialrun.search.variants import Variants
from trialrun.space import FixedValue, Space
from trialrun_hookspecs.distributions import DistributionBase
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.request import GRID_ALGORITHM, Params
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["ALGORITHMS", "GRID_ALGORITHM", "InitialPoints", "create_algorithm", "parse_points"]

_WHERE = "params.tune_config.search_alg"


def create_algorithm(params: Params, *, seed: int, extensions: Mapping[str, Factory]) -> Algorithm:
    """Return a new instance of the job's algorithm. Raises RequestInvalid with all that the two have in conflict."""
    config, space = params.tuning.search_alg, Space(params.hyperparameters or ())
    known = [*ALGORITHMS, *extensions]
    if config.name not in known:
        fix = did_you_mean(config.name, known) or f"Known: {', '.join(known)}."
        raise RequestInvalid("no such search algorithm", where=f"{_WHERE}.name", got=repr(config.name), fix=fix)
    problems = [*find_incompatibilities(params), *_find_point_problems(params)]
    if config.name == GRID_ALGORITHM:
        problems += _find_option_problems(config.options)
    if problems:
        raise RequestInvalid(problems=problems)
    points = parse_points(params)
    if config.name == GRID_ALGORITHM:
        return Variants(space, points, samples=params.tuning.num_samples, seed=seed)
    factory = extensions.get(config.name) or importlib.import_module(ALGORITHMS[config.name].module).make
    inner = factory(space.build_primitives(), mode=params.tuning.mode, seed=seed, options=config.options)
    return InitialPoints(inner, space, points)


def parse_points(params: Params) -> list[dict[str, Any]]:
    """Return `points_to_evaluate`, flat, as plain values. Raises RequestInvalid when a point is outside the space."""
    problems = list(_find_point_problems(params))
    if problems:
        raise RequestInvalid(problems=problems)
    space = Space(params.hyperparameters or ())
    return [space.to_plain(_flatten_point(point, space.names)) for point in _get_points(params)]


def _get_points(params: Params) -> Sequence[Mapping[str, Any]]:
    return params.tuning.search_alg.points_to_evaluate


def _flatten_point(point: Mapping[str, Any], names: Sequence[str], above: str = "") -> dict[str, Any]:
    """Return a point of flat (`{"a/b": 1}`) or nested form (`{"a": {"b": 1}}`) in flat form."""
    flat: dict[str, Any] = {}
    for key, value in point.items():
        name = f"{above}{key}"
        if name not in names and isinstance(value, Mapping):
            flat |= _flatten_point(value, names, f"{name}/")
        else:
            flat[name] = value
    return flat


def _find_point_problems(params: Params) -> list[Problem]:
    space = Space(params.hyperparameters or ())
    problems = []
    for index, point in enumerate(_get_points(params)):
        for name, value in _flatten_point(point, space.names).items():
            where = f"{_WHERE}.points_to_evaluate[{index}].{name}"
            if name not in space.distributions:
                searched = list(space.distributions)
                fix = did_you_mean(name, searched) or f"Known: {', '.join(searched)}."
                rule = "is not searched" if name in space.names else "no such hyperparameter"
                problems.append(Problem(where=where, rule=rule, got=repr(value), fix=fix))
            elif not space.contains(name, value):
                rule = f"must lie in {_format_distribution(space.distributions[name])}"
                problems.append(Problem(where=where, rule=rule, got=repr(value), fix="Move it inside."))
            elif isinstance(value, Mapping | list) and params.tuning.search_alg.name == GRID_ALGORITHM:
                rule = f"{GRID_ALGORITHM} takes only text, numbers, true, false and null in a point"  # Ray looks inside
                fix = "Leave it out of the point, or use another search_alg."
                problems.append(Problem(where=where, rule=rule, got=repr(value), fix=fix))
    return problems


def _format_distribution(distribution: DistributionBase) -> str:
    """Return a text such as `uniform(min=0.0, max=1.0)`."""
    fields = distribution.model_dump(exclude={"name", "type", "base"})
    text = ", ".join(f"{key}={list(value) if key == 'options' else value}" for key, value in fields.items())
    return f"{distribution.model_dump()['type']}({text if len(text) <= 80 else text[:77] + '...'})"


def _find_option_problems(options: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            where=f"{_WHERE}.options.{key}", rule=f"{GRID_ALGORITHM} has no options", got=repr(value), fix="Remove it."
        )
        for key, value in options.items()
    ]


class InitialPoints:
    """Suggests the points to evaluate first, unchanged and in their order, with missing values filled in."""

    def __init__(self, inner: Algorithm, space: Space, points: Sequence[Mapping[str, Any]]) -> None:
        self._inner = inner
        self._space = space
        self._points = [dict(point) for point in points]

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point | None:
        if fixed is not None:
            return self._inner.ask(trial_id, fixed)
        if not self._points:
            return self._inner.ask(trial_id)
        wanted = self._points.pop(0)
        point = self._inner.ask(trial_id, self._space.encode(wanted))
        return None if point is None else {**point, **{name: FixedValue(value=value) for name, value in wanted.items()}}

    def tell(self, trial_id: str, value: float | None) -> None:
        self._inner.tell(trial_id, value)

    def state(self) -> Any:
        return {"points": copy.deepcopy(self._points), "inner": self._inner.state()}

    def restore(self, state: Any) -> None:
        self._points = copy.deepcopy(state["points"])
        self._inner.restore(state["inner"])
