"""The outcome of trials: metrics from the return value of tune(), and the best of all trials."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from trialrun.events import flatten_mapping, nonfinite_name, to_plain
from trialrun.numbers import is_number
from trialrun.trials import RESULT_KEYS
from trialrun_hookspecs.errors import BadValue, ObjectiveMissing

__all__ = [
    "Mode",
    "check_objective",
    "find_best_trial",
    "is_better",
    "merge_metrics",
    "normalize_metrics",
    "objective_value",
]

Mode = Literal["max", "min"]


def normalize_metrics(value: Any, metric: str) -> dict[str, Any] | None:
    """Return the return value of tune() as flat metrics: from a dict, a number (stored under `metric`), or None.

    NaN and infinities are kept for `check_objective` to judge.
    Raises BadValue for a bool, a string or any other value.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _to_flat_metrics(value)
    number = _to_number(value)
    if number is None:
        fix = f"Return a dict of metrics, a number (stored as {metric!r}), or nothing."
        got = f"{type(value).__name__} {value!r}"
        raise BadValue("must return metrics", where="tune()", got=got[:100], fix=fix)
    return {metric: number}


def merge_metrics(reported: Mapping[str, Any], returned: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the last report overlaid with the returned metrics, flat; None when these add nothing to it."""
    if not returned:
        return None
    before, after = flatten_mapping(reported), flatten_mapping(returned)
    if all(name in before and _is_same_value(before[name], value) for name, value in after.items()):
        return None
    return {**before, **after}


def objective_value(metrics: Mapping[str, Any], metric: str) -> int | float | None:
    """Return the value of `metric` (nested ones as `a/b`) when it is a finite number, else None."""
    number = _to_number(metrics[metric] if metric in metrics else flatten_mapping(metrics).get(metric))
    return None if number is None or nonfinite_name(number) else number


def check_objective(metrics: Mapping[str, Any], metric: str, trial_id: str) -> int | float:
    """Return the objective of one report. Raises ObjectiveMissing when it is absent, not a number, or not finite."""
    value = objective_value(metrics, metric)
    if value is not None:
        return value
    where = f"trial {trial_id!r}"
    flat = flatten_mapping(metrics)
    if metric in flat:
        fix = "Report a finite number, or end the trial with an error that says why there is none."
        raise ObjectiveMissing(
            f"objective {metric!r} must be a finite number", where=where, got=_format_value(flat[metric]), fix=fix
        )
    own = [name for name in flat if name not in RESULT_KEYS and not name.startswith("config/")]
    got = f"only {', '.join(own)}" if own else "no metrics"
    raise ObjectiveMissing(
        f"must report the objective {metric!r}", where=where, got=got, fix=_suggest_metric(metric, own)
    )


def find_best_trial(trials: Iterable[tuple[str, str, Mapping[str, Any]]], metric: str, mode: Mode) -> str | None:
    """Return the id of the best of `(trial_id, status, metrics)`; None when no trial qualifies.

    Failed trials, and objectives that are absent or not finite, never win; ties go to the earlier trial.
    """
    winner: str | None = None
    best: int | float | None = None
    for trial_id, status, metrics in trials:
        value = None if status == "ERROR" else objective_value(metrics, metric)
        if value is not None and is_better(value, best, mode):
            winner, best = trial_id, value
    return winner


def is_better(value: float, than: float | None, mode: Mode, min_delta: float = 0) -> bool:
    """Return True if `value` beats `than` by more than `min_delta`. Any value beats None, none beats its equal."""
    if than is None:
        return True
    return value > than + min_delta if mode == "max" else value < than - min_delta


def _to_flat_metrics(value: Mapping[Any, Any]) -> dict[str, Any]:
    made = to_plain(value, "tune() returned", nonfinite="keep")
    return flatten_mapping(made)


def _to_number(value: Any) -> int | float | None:
    try:
        made = to_plain(value, nonfinite="keep")
    except BadValue:
        return None
    return made if is_number(made) else None


def _is_same_value(one: Any, other: Any) -> bool:
    try:
        one, other = to_plain(one, nonfinite="keep"), to_plain(other, nonfinite="keep")
    except BadValue:
        return False
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    both_nan = nonfinite_name(one) == nonfinite_name(other) == "nan"
    return both_nan or bool(one == other)


def _format_value(value: Any) -> str:
    return repr(value)[:80]


def _suggest_metric(metric: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(metric, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Report {metric!r}, or name in tune_config.metric what the plugin reports."
