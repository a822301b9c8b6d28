"""Ray's trial schedulers by name, with their options checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ray.tune import TuneError
from ray.tune import schedulers as ray_schedulers
from ray.tune.schedulers.pb2 import PB2

from trialrun.numbers import is_number
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["RAY_REFUSES", "SCHEDULERS", "list_scheduler_options", "make_scheduler"]


RAY_REFUSES = "refuses these options"


def _make_median(*, min_time_slice: float = math.inf, **options: Any) -> Any:
    """Return the median rule without time slices: by Ray's default of 0, trials take turns at every report.

    Each turn restarts a trial, and a trial that reports when it is resumed at its end never finishes.
    """
    return ray_schedulers.MedianStoppingRule(min_time_slice=min_time_slice, **options)  # type: ignore[arg-type]  # inf


_make_median.__signature__ = inspect.signature(ray_schedulers.MedianStoppingRule)  # type: ignore[attr-defined]  # its options

SCHEDULERS: Mapping[str, Callable[..., Any]] = {
    "fifo": ray_schedulers.FIFOScheduler,
    "hyperband": ray_schedulers.HyperBandScheduler,
    "asha": ray_schedulers.ASHAScheduler,
    "median": _make_median,
    "pbt": ray_schedulers.PopulationBasedTraining,
    "pb2": PB2,
}

_WHERE = "params.tune_config.scheduler"
# metric and mode come from tune_config, mutations from the job's distributions; the rest is not JSON or has no effect
_RESERVED_OPTIONS = frozenset(
    {
        "self",
        "metric",
        "mode",
        "args",
        "kwargs",
        "hyperparam_mutations",
        "hyperparam_bounds",
        "custom_explore_fn",
        "log_config",
        "require_attrs",
    }
)


def list_scheduler_options(factory: Callable[..., Any]) -> list[str]:
    """Return the names of the options that a scheduler takes, in its order."""
    return [name for name in inspect.signature(factory).parameters if name not in _RESERVED_OPTIONS]


def make_scheduler(
    name: str,
    options: Mapping[str, Any],
    extensions: Mapping[str, Callable[..., Any]],
    *,
    metric: str,
    mode: str,
    mutations: Mapping[str, Any] | None = None,
) -> Any:
    """Return a new scheduler; `mutations` are the options that define what PBT and PB2 may change.

    Raises RequestInvalid: unknown name, unknown option, or a value that Ray refuses.
    """
    if name in extensions:
        return _construct_scheduler(name, lambda: extensions[name](metric=metric, mode=mode, **options), options)
    known = [*SCHEDULERS, *extensions]
    if name not in known:
        fix = did_you_mean(name, known) or f"Known: {', '.join(known)}."
        raise RequestInvalid("no such scheduler", where=f"{_WHERE}.name", got=repr(name), fix=fix)
    problems = list(_check_options(name, options))
    if problems:
        raise RequestInvalid(problems=problems)
    return _construct_scheduler(name, lambda: SCHEDULERS[name](**_convert_lists(options), **(mutations or {})), options)


def _check_options(name: str, options: Mapping[str, Any]) -> Iterator[Problem]:
    parameters = inspect.signature(SCHEDULERS[name]).parameters
    known = list_scheduler_options(SCHEDULERS[name])
    for key, value in options.items():
        where, got = f"{_WHERE}.options.{key}", repr(value)
        if key in ("metric", "mode"):
            fix = f"Remove it: tune_config.{key} applies to the scheduler too."
            yield Problem(where=where, rule="is not an option of a scheduler", got=got, fix=fix)
        elif key not in known:
            fix = did_you_mean(key, known) or (f"Known: {', '.join(known)}." if known else "It has no options.")
            yield Problem(where=where, rule=f"{name} has no such option", got=got, fix=fix)
        elif not _is_same_kind(parameters[key].default, value):
            default = parameters[key].default
            yield Problem(
                where=where, rule=f"must be {_describe_type(default)}", got=got, fix=f"Its default is {default!r}."
            )
        elif key == "reduction_factor" and value <= 1:
            yield Problem(where=where, rule="must be more than 1", got=got, fix="3 or 4 is usual.")


def _convert_lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with tuples instead of JSON's lists, as Ray requires."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def _describe_type(default: Any) -> str:
    return {bool: "true or false", str: "a string"}.get(type(default), "a number")


def _is_same_kind(default: Any, value: Any) -> bool:
    """Return True if a value has the kind of the default; Ray accepts any, and fails or ignores it later."""
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    if isinstance(default, int | float):
        return is_number(value)
    return True


def _construct_scheduler(name: str, make: Callable[[], Any], options: Mapping[str, Any]) -> Any:
    try:
        return make()
    except (ArithmeticError, AssertionError, TuneError, TypeError, ValueError) as error:
        fix = "See the options in the job reference."
        rule = f"{name} {RAY_REFUSES}: {error}"
        raise RequestInvalid(rule, where=f"{_WHERE}.options", got=repr(dict(options)), fix=fix) from error
