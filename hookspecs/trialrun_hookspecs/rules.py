"""The rules that relate the fields of a job's `params` to each other.

They read a model or the raw JSON, because pydantic builds no model when a single field is wrong.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from trialrun_hookspecs.distributions import DERIVED
from trialrun_hookspecs.expressions import BadExpression, names_in, parse_expression
from trialrun_hookspecs.resources import resource_rules
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["TUNING_ONLY_KEYS", "mode_rules"]

TUNING_ONLY_KEYS = ("hyperparameters", "tune_config", "num_cpus", "num_gpus", "resources", "workers")


def _get_field(thing: Any, key: str) -> Any:
    """Return a field of a model, or of the raw JSON it is to be made from."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)


def mode_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Yield the broken rules between fields of `params`: (path below params, rule, remedy)."""
    if isinstance(params.get("is_tune", False), bool):  # otherwise the mode is unknown
        yield from _tuning_rules(params) if params.get("is_tune") else _training_rules(params)


def _training_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    if params.get("hyperparameter") is None:
        yield "hyperparameter", "hyperparameter is required when is_tune=False", "Add a dict, {} when there is none."
    for key in TUNING_ONLY_KEYS:
        if params.get(key) is not None:
            yield key, f"{key} is for tuning only (is_tune=True)", f"Remove {key}, or set is_tune to true."


def _tuning_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for key, example in (
        ("hyperparameters", 'Add a list such as [{"name": "lr", "type": "uniform", "min": 0.01, "max": 0.1}].'),
        ("tune_config", 'Add a dict such as {"metric": "accuracy", "mode": "max", "num_samples": 10}.'),
    ):
        if params.get(key) is None:
            yield key, f"{key} is required when is_tune=True", example
    if params.get("hyperparameter") is not None:
        yield "hyperparameter", "hyperparameter is for training only (is_tune=False)", "Put fixed values into a choice."
    if params.get("num_cpus") == 0 and not any(params.get(key) for key in ("num_gpus", "resources", "workers")):
        yield "num_cpus", "num_cpus and num_gpus must not both be 0", "Give a fraction such as 0.1."
    yield from resource_rules(params)
    if _get_field(params.get("tune_config"), "fail_fast") in (True, "raise") and _get_field(
        params.get("tune_config"), "max_failures"
    ):
        yield "tune_config.fail_fast", "fail_fast and max_failures exclude each other", "Drop one of them."
    yield from _name_rules(params.get("hyperparameters"))
    checkpoints = _get_field(params.get("tune_config"), "checkpoints")
    if _get_field(checkpoints, "by") not in (None, _get_field(params.get("tune_config"), "metric")) and not _get_field(
        checkpoints, "mode"
    ):
        yield "tune_config.checkpoints.mode", "is required with a metric that is not the objective", "Add max or min."
    yield from _expression_rules(params.get("hyperparameters"))
    yield from _search_rules(params.get("hyperparameters"))
    yield from _template_rules(params)
    if _has_credentials(_get_field(params.get("tune_config"), "storage_path")):
        rule = "credentials go into the environment, not the address"
        yield "tune_config.storage_path", rule, "Set AWS_SECRET_ACCESS_KEY, or what else your storage reads."


def _expression_rules(space: Any) -> Iterable[tuple[str, str, str]]:
    """Yield the problems of expressions that use unknown names or depend on themselves."""
    items = list(space) if isinstance(space, list | tuple) else []
    names = [name for item in items if isinstance(name := _get_field(item, "name"), str)]
    goes_by: dict[str, tuple[int, list[str]]] = {}
    for index, item in enumerate(items):
        name, text = _get_field(item, "name"), _get_field(item, "expression")
        if _get_field(item, "type") != "expression" or not isinstance(name, str) or not isinstance(text, str):
            continue
        try:
            goes_by[name] = index, list(names_in(parse_expression(text)))
        except BadExpression:
            continue  # the field itself reports it
    for index, wanted in goes_by.values():
        for name in dict.fromkeys(wanted):
            if name not in names:
                fix = did_you_mean(name, names) or f"Known: {', '.join(names)}."
                yield f"hyperparameters[{index}].expression", f"there is no hyperparameter {name!r}", fix
    for name, (index, _) in goes_by.items():
        if name in _find_dependencies(name, goes_by):
            rule = f"{name!r} must not depend on itself"
            yield f"hyperparameters[{index}].expression", rule, "Remove one of the references."


def _search_rules(space: Any) -> Iterable[tuple[str, str, str]]:
    if isinstance(space, list | tuple) and space and all(_get_field(item, "type") in [*DERIVED] for item in space):
        yield "hyperparameters", "at least one hyperparameter must be searched", "Make a constant a choice."


def _find_dependencies(start: str, goes_by: Mapping[str, tuple[int, list[str]]]) -> set[str]:
    dependencies: set[str] = set()
    open_ = list(goes_by[start][1])
    while open_:
        name = open_.pop()
        if name not in dependencies:
            dependencies.add(name)
            open_ += goes_by[name][1] if name in goes_by else []
    return dependencies


def _has_credentials(url: Any) -> bool:
    """Return whether a URL contains a user or a secret, which the job's record would then contain too."""
    return isinstance(url, str) and bool(
        re.match(r"\w+://[^/]*@|.*[?&][^=]*(secret|token|password)", url, re.IGNORECASE)
    )


def _template_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    template, space = _get_field(params.get("tune_config"), "trial_name"), params.get("hyperparameters")
    if not isinstance(template, str) or not isinstance(space, list | tuple):
        return
    known = ["trial_id", *(name for item in space if isinstance(name := _get_field(item, "name"), str))]
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field]
    except ValueError:
        return  # the field itself reports it
    for field in fields:
        if field not in known:
            fix = did_you_mean(field, known) or f"Known: {', '.join(known)}."
            yield "tune_config.trial_name", f"{{{field}}} must be trial_id or the name of a hyperparameter", fix


def _name_rules(space: Any) -> Iterable[tuple[str, str, str]]:
    names = [_get_field(item, "name") for item in space] if isinstance(space, list | tuple) else []
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        first = seen.setdefault(name, index)
        if first != index:
            rule = f"names must be unique, and hyperparameters[{first}] has this one"
            yield f"hyperparameters[{index}].name", rule, "Rename one of them."
    for name, index in seen.items():
        for depth in range(1, name.count("/") + 1):
            parent = "/".join(name.split("/")[:depth])
            if parent in seen:
                rule = f"{name!r} is nested in {parent!r}, which is a parameter itself"
                yield f"hyperparameters[{index}].name", rule, "Rename one of them."
