"""Parse a job's JSON into a `Request`, and report every problem at once in plain words."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trialrun_hookspecs.distributions import DERIVED, DISTRIBUTIONS
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.request import Request
from trialrun_hookspecs.rules import TUNING_ONLY_KEYS, mode_rules
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["json_schema", "migrate", "parse_request"]


# What people write for our words, each from another tool or an older form of the job.
_KEY_SYNONYMS = {
    "values": "options",
    "categories": "options",
    "choices": "options",
    "lower": "min",
    "low": "min",
    "upper": "max",
    "high": "max",
    "std": "sd",
    "sigma": "sd",
    "mu": "mean",
    "step": "q",
    "hyper_parameters": "hyperparameters",
    "max_concurrent": "max_concurrent_trials",
    "search_algorithm": "search_alg",
    "time_budget": "time_budget_s",
}


def migrate(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job of the deprecated form `{"action": "tune", …}` in the current form, and other jobs unchanged."""
    new = dict(data)
    if new.get("action") != "tune":
        return new
    new["action"] = "train"
    params = new.get("params")
    if isinstance(params, Mapping):
        renamed = {"hyperparameters" if key == "hyperparameter" else key: value for key, value in params.items()}
        if "hyperparameters" in params:
            renamed = dict(params)  # both are there: the model reports it
        new["params"] = {**renamed, "is_tune": True}
    return new


def _fold_hyperparameters(data: Any) -> Any:
    """Return the data with a one-item `hyperparameters: [dict]` of a training job as its `hyperparameter`."""
    params = data.get("params") if isinstance(data, dict) else None
    if not isinstance(params, dict) or params.get("is_tune") or params.get("hyperparameter") is not None:
        return data
    many = params.get("hyperparameters")
    if (
        isinstance(many, list)
        and len(many) == 1
        and isinstance(many[0], dict)
        and str(many[0].get("type")) not in (*DISTRIBUTIONS, *DERIVED)
    ):
        rest = {key: value for key, value in params.items() if key != "hyperparameters"}
        return {**data, "params": {**rest, "hyperparameter": many[0]}}
    return data


def parse_request(data: Any) -> Request:
    """Return the validated job; warns of the deprecated form. Raises RequestInvalid with every problem."""
    if isinstance(data, Mapping) and data.get("action") == "tune":
        data = migrate(data)
        shown = json.dumps(data, ensure_ascii=False, default=str)
        warnings.warn(
            f'the action "tune" is deprecated; the job in its new form (or use `trialrun migrate`): {shown}',
            DeprecationWarning,
            stacklevel=2,
        )
    try:
        return Request.model_validate(_fold_hyperparameters(data))
    except ValidationError as invalid:
        raise RequestInvalid(problems=_collect_problems(invalid, _fold_hyperparameters(data))) from None


_MODE_SCHEMA = {
    "if": {"properties": {"is_tune": {"const": True}}, "required": ["is_tune"]},
    "then": {
        "required": ["hyperparameters", "tune_config"],
        "properties": {
            "hyperparameters": {"type": "array"},
            "tune_config": {"type": "object"},
            "hyperparameter": {"type": "null"},
        },
    },
    "else": {
        "required": ["hyperparameter"],
        "properties": {
            "hyperparameter": {"type": "object"},
            **{key: {"type": "null"} for key in TUNING_ONLY_KEYS},
        },
    },
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a job in its current form.

    It accepts every valid job. It leaves to `parse_request` the rules that relate values to each other:
    min < max, and min > 0 for log types; multiples of q, no more than 2**53 of them; unique names, none nested in
    another; fail_fast with max_failures; num_cpus and num_gpus both 0; one and a half GPUs. It also leaves some rules
    on single values: text that Python calls blank, names and options that Ray reserves, text that UTF-8 cannot encode,
    excessive nesting, integers too large for a float.
    """
    schema = Request.model_json_schema()
    schema["$defs"]["Params"].update(_MODE_SCHEMA)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trialrun job"}


def _collect_problems(invalid: ValidationError, data: Any) -> list[Problem]:
    """Return every problem once, with the rules between fields, which pydantic skips when a single field is wrong."""
    problems = [problem for error in invalid.errors() for problem in _translate_error(error)]
    params = data.get("params") if isinstance(data, Mapping) else None
    if isinstance(params, Mapping):
        problems += [Problem(where=f"params.{key}", rule=rule, fix=fix) for key, rule, fix in mode_rules(params)]
    misspelt = {p.where.rpartition(".")[0] + "." + word for p in problems for word in _find_suggestions(p)}
    missing = [p for p in problems if not (p.rule == "required" and p.where in misspelt)]
    return list(dict.fromkeys(missing))


def _find_suggestions(problem: Problem) -> list[str]:
    """Return the names that the fix of an unknown key suggests."""
    return re.findall(r"^(?:Use|Did you mean) '(\w+)'", problem.fix) if problem.rule == "unknown key" else []


def _format_path(loc: Sequence[Any]) -> str:
    """Return a path such as `params.hyperparameters[2].min`: pydantic's location without the tag of the union."""
    text = ""
    for index, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        elif (
            index >= 3
            and loc[index - 2] == "hyperparameters"
            and isinstance(loc[index - 1], int)
            and part in (*DISTRIBUTIONS, *DERIVED)
        ):
            continue
        else:
            text += f".{part}" if text else str(part)
    return text or "job"


def _format_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _list_known_keys(loc: Sequence[Any]) -> list[str]:
    """Return the valid keys of the object that contains the last part of `loc`."""
    model: type[BaseModel] = Request
    for part in loc[:-1]:
        if model in (*DISTRIBUTIONS.values(), *DERIVED.values()):
            break
        if part in model.model_fields:
            model = _find_model(model.model_fields[part].annotation) or model
        elif part in DISTRIBUTIONS or part in DERIVED:
            model = {**DISTRIBUTIONS, **DERIVED}[part]
    return list(model.model_fields)


def _find_model(annotation: Any) -> type[BaseModel] | None:
    """Return the only model in a field's annotation; None when there is none, or several that a tag distinguishes."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = {model for part in get_args(annotation) if (model := _find_model(part))}
    return models.pop() if len(models) == 1 else None


def _unknown_key_problem(error: ErrorDetails, where: str) -> Problem:
    key = str(error["loc"][-1])
    known = _list_known_keys(error["loc"])
    right = _KEY_SYNONYMS.get(key)
    hint = f"Use {right!r}." if right in known else did_you_mean(key, known)
    return Problem(
        where=where, rule="unknown key", got=_format_value(error["input"]), fix=hint or f"Known: {', '.join(known)}."
    )


def _bad_type_problem(error: ErrorDetails, where: str) -> Problem:
    value = error["input"].get("type") if isinstance(error["input"], dict) else error["input"]
    if error["type"] == "union_tag_not_found":
        fix = f"Add a type: {', '.join([*DISTRIBUTIONS, *DERIVED])}."
        return Problem(where=f"{where}.type", rule="required", got="nothing", fix=fix)
    known = [*DISTRIBUTIONS, *DERIVED]
    near = did_you_mean(value.lower(), known) if isinstance(value, str) else ""
    hint = near or f"Known: {', '.join(known)}."
    return Problem(
        where=f"{where}.type",
        rule="must be one of the 12 distributions, or constant or expression",
        got=_format_value(value),
        fix=hint,
    )


_RULES = {
    "missing": "required",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "finite_number": "must be finite",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_unicode": "must be text that UTF-8 can hold",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must not be blank",
    "too_short": "must not be empty",
}


_FIXES = {
    "int_type": "Write a whole number, without quotes.",
    "float_type": "Write a number, without quotes.",
    "string_type": "Write it in quotes.",
    "bool_type": "Write true or false, without quotes.",
    "dict_type": "Write {…}.",
    "list_type": "Write […].",
    "tuple_type": "Write […].",
    "model_type": "Write {…}.",
    "model_attributes_type": "Write {…}.",
    "finite_number": "Write a number such as 1e6.",
    "string_too_short": "Write some text.",
    "string_pattern_mismatch": "Write some text.",
    "too_short": "Add an item.",
    "greater_than": "Use a larger number.",
    "greater_than_equal": "Use a larger number.",
    "less_than": "Use a smaller number.",
    "invalid_key": "Write keys in quotes.",
}


def _missing_key_rule(loc: Sequence[Any]) -> tuple[str, str]:
    key = loc[-1]
    fixes = {
        "base": "Add it (usually 10 or 2).",
        "mode": "Add 'max' or 'min'.",
        "action": 'Add "action": "train".',
        "options": "Add a list of values.",
    }
    return "required", fixes.get(str(key), f"Add {key!r}.")


def _translate_error(error: ErrorDetails) -> list[Problem]:
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    where = _format_path(loc)
    if kind == "extra_forbidden":
        return [_unknown_key_problem(error, where)]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return [_bad_type_problem(error, where)]
    if kind == "too_short" and error["input"]:
        return []  # the problems of its items are reported at the items
    if kind == "rule":
        return _rule_problems(error, where, context)
    if kind == "missing":
        rule, fix = _missing_key_rule(loc)
        return [Problem(where=where, rule=rule, got="nothing", fix=fix)]
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        hint = did_you_mean(str(error["input"]), expected.replace("'", "").replace(" or ", ", ").split(", "))
        return [Problem(where=where, rule=f"must be {expected}", got=_format_value(error["input"]), fix=hint)]
    rule = _RULES.get(kind) or error["msg"].replace("Input should be", "must be").replace("Input", "it")
    if kind == "float_type" and isinstance(error["input"], int) and not isinstance(error["input"], bool):
        return [
            Problem(where=where, rule="is too large", got=_format_value(error["input"]), fix="Use a smaller number.")
        ]
    return [Problem(where=where, rule=rule, got=_format_value(error["input"]), fix=_FIXES.get(kind, ""))]


def _rule_problems(error: ErrorDetails, where: str, context: Mapping[str, Any]) -> list[Problem]:
    several = context.get("several")
    if several:
        return [Problem(where=f"{where}.{key}", rule=rule, fix=fix) for key, rule, fix in several]
    field = context.get("field", "")
    got = "" if field or isinstance(error["input"], dict) else _format_value(error["input"])
    below = field if not field or field[0] in "[." else f".{field}"
    return [Problem(where=f"{where}{below}", rule=context["rule"], got=got, fix=context["fix"])]
