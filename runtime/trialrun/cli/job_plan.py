"""The plan of a job, as JSON and as lines."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trialrun.cli import text
from trialrun.compat import ALGORITHMS, check_alternatives, describe_search_form, fill_max_t, list_hints
from trialrun.executors.capacity import build_resource_request, can_fit_trial, how_many_fit
from trialrun_hookspecs.distributions import DistributionBase, GridSearch
from trialrun_hookspecs.job_advice import advice, count_trials
from trialrun_hookspecs.request import Params, Request, TuneConfig

__all__ = ["MEANINGS", "build_plan", "detect_resources", "format_plan"]

_LABEL = 12
_OPTIONS = 200
_KEYS = {"CPU": "num_cpus", "GPU": "num_gpus"}
_PLANNED_SETTINGS = frozenset({"metric", "mode", "num_samples", "search_alg", "scheduler", "seed"})


def _format_range(d: Any) -> str:
    return f"from {text.format_number(d.min)} to {text.format_number(d.max)}"


def _format_integers(d: Any) -> str:
    return f"integers from {d.min} to {d.max - 1} ({d.max} is left out)"


def _format_multiples(d: Any) -> str:
    return f"multiples of {text.format_number(d.q)} {_format_range(d)}, both included"


def _format_normal(d: Any) -> str:
    return f"normal with mean {text.format_number(d.mean)} and standard deviation {text.format_number(d.sd)}"


def _format_options(d: Any) -> str:
    return text.truncate(", ".join(text.format_value(option) or "null" for option in d.options), _OPTIONS)


_LOG = ", uniform in the logarithm"

MEANINGS: Mapping[str, Callable[[Any], str]] = {
    "uniform": lambda d: f"{_format_range(d)}, uniform",
    "quniform": lambda d: f"{_format_multiples(d)}, uniform",
    "loguniform": lambda d: _format_range(d) + _LOG,
    "qloguniform": lambda d: _format_multiples(d) + _LOG,
    "randn": _format_normal,
    "qrandn": lambda d: f"multiples of {text.format_number(d.q)}, {_format_normal(d)}",
    "randint": lambda d: f"{_format_integers(d)}, uniform",
    "qrandint": lambda d: f"{_format_multiples(d)}, uniform",
    "lograndint": lambda d: _format_integers(d) + _LOG,
    "qlograndint": lambda d: _format_multiples(d) + _LOG,
    "choice": lambda d: f"one of {_format_options(d)}",
    "grid_search": lambda d: f"each of {_format_options(d)}",
    "constant": lambda d: f"always {text.format_value(d.value) or 'null'}",
    "expression": lambda d: f"is {text.truncate(d.expression, _OPTIONS)}",
}
"""Type of a hyperparameter -> its values in words."""


def detect_resources() -> dict[str, float]:
    """Return the CPUs and GPUs of this machine, counted without starting anything."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return {"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)}


def build_plan(
    request: Request,
    *,
    executor: str,
    machine: Mapping[str, float],
    timing: tuple[float, str] | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the plan as JSON; in training mode the keys about trials are None.

    `timing` is the seconds of a trial and their source; None: unknown.
    """
    request, note = fill_max_t(request)
    params = request.params
    total = count_trials(request)
    plan: dict[str, Any] = {
        "name": params.name,
        "mode": "training" if total is None else "tuning",
        "trials": total,
        "dataset": params.dataset,
        "checkpoint": params.checkpoint,
        "executor": executor,
        "resources": None,
        "objective": None,
        "search_alg": None,
        "scheduler": None,
        "settings": {},
        "seed": None,
        "hyperparameter": params.hyperparameter,
        "space": [],
        "fits": None,
        "estimate": None,
        "warnings": [*warnings, *advice(request), *filter(None, [note]), *list_hints(request)],
    }
    if params.tune_config is not None and total is not None:
        machine = {"memory": math.inf, **machine}  # not counted here: Ray knows its limit
        plan |= _plan_tuning(params, params.tune_config, total, executor, machine, timing)
        plan["warnings"] += _list_shortages(params, executor, machine)
    return plan


def _plan_tuning(
    params: Params,
    config: TuneConfig,
    total: int,
    executor: str,
    machine: Mapping[str, float],
    timing: tuple[float, str] | None,
) -> dict[str, Any]:
    at_once = _count_concurrent_trials(params, config, total, executor, machine)
    space = params.hyperparameters or ()
    return {
        "trials": total,
        "grid": math.prod(len(d.options) for d in space if isinstance(d, GridSearch)),
        "num_samples": config.num_samples,
        "resources": {
            "num_cpus": params.cpus,
            "num_gpus": params.gpus,
            "custom": dict(params.resources or {}),
            "workers": params.workers.model_dump(mode="json") if params.workers else None,
            "at_once": at_once,
        },
        "objective": {"metric": config.metric, "mode": config.mode},
        "search_alg": config.search_alg.model_dump(mode="json"),
        "scheduler": config.scheduler.model_dump(mode="json"),
        "settings": _select_other_settings(config),
        "seed": config.seed,
        "space": [_describe_parameter(d, config.search_alg.name) for d in space],
        "fits": _find_obstacles(params, executor),
        "estimate": _estimate_time(config, total, at_once, timing),
    }


def _count_concurrent_trials(
    params: Params, config: TuneConfig, total: int, executor: str, machine: Mapping[str, float]
) -> int:
    """Return how many trials run at the same time on this machine, at least one."""
    if executor == "inline":
        return 1
    room = how_many_fit(build_resource_request(params).total_resources, machine)
    return max(int(min(room, config.max_concurrent_trials or total, total)), 1)


def _select_other_settings(config: TuneConfig) -> dict[str, Any]:
    """Return the job's settings that have no key of their own in the plan."""
    given: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in given.items() if name not in _PLANNED_SETTINGS}


def _describe_parameter(d: DistributionBase, algorithm: str) -> dict[str, Any]:
    written = d.model_dump(mode="json")
    return {**written, "seen_as": describe_search_form(algorithm, d), "meaning": MEANINGS[written["type"]](d)}


def _find_obstacles(params: Params, executor: str) -> dict[str, dict[str, list[str]]]:
    """Return, under `search_alg` and `scheduler`, each name with the reasons why it does not fit this job."""
    obstacles = {
        part: {name: [problem.rule for problem in problems] for name, problems in each.items()}
        for part, each in check_alternatives(params).items()
    }
    for name, facts in ALGORITHMS.items():
        if facts.extra and find_spec(facts.extra) is None:
            obstacles["search_alg"][name].insert(0, f"needs pip install 'trialrun[{facts.extra}]'")
    for name in obstacles["scheduler"]:
        if executor == "inline" and name != "fifo":
            obstacles["scheduler"][name] = ["the inline executor runs every trial to its end"]
    return obstacles


def _estimate_time(
    config: TuneConfig, total: int, at_once: int, timing: tuple[float, str] | None
) -> dict[str, Any] | None:
    if timing is None:
        return None
    seconds, source = timing
    duration = math.ceil(total / at_once) * seconds
    if config.time_budget_s is not None:
        duration = min(duration, config.time_budget_s)
    return {"seconds": round(duration, 1), "trial_seconds": round(seconds, 3), "at_once": at_once, "source": source}


def _list_shortages(params: Params, executor: str, machine: Mapping[str, float]) -> list[str]:
    need = build_resource_request(params)
    if executor == "inline" or can_fit_trial(need, [machine]):
        return []
    workers = " with its workers" if need.workers else ""
    shortages = [
        f"params.{_KEYS.get(key, 'resources')}: a trial{workers} needs {text.format_number(value)} {text.clean(key)}, "
        f"this machine has {text.format_number(machine.get(key, 0))}. Join a larger cluster with --address."
        for key, value in need.total_resources.items()
        if value > machine.get(key, 0)
    ]
    spread = "params.workers.strategy: STRICT_SPREAD needs a node for each. Join a larger cluster with --address."
    return shortages or [spread]


def format_plan(plan: Mapping[str, Any]) -> list[str]:
    """Return the plan as aligned lines."""
    facts: list[tuple[str, str]] = [("dataset", str(plan["dataset"]))]
    if plan["checkpoint"] is not None:
        facts.append(("checkpoint", str(plan["checkpoint"])))
    facts += _training_facts(plan) if plan["trials"] is None else _tuning_facts(plan)
    lines = [
        f"{text.format_name(plan['name'])}: {plan['mode']}",
        *(f"  {label:<{_LABEL}}{fact}" for label, fact in facts),
    ]
    if plan["space"]:
        lines += ["", *_format_space(plan["space"], plan["search_alg"]["name"])]
    if plan["fits"]:
        lines += ["", *_format_alternatives(plan["fits"])]
    warnings = [f"warning: {text.clean(warning)}" for warning in plan["warnings"]]
    return [*lines, *(["", *warnings] if warnings else [])]


def _training_facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("values", _format_pairs(plan["hyperparameter"] or {}) or "none")]


def _tuning_facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    resources, objective = plan["resources"], plan["objective"]
    better = "larger" if objective["mode"] == "max" else "smaller"
    at_once = "one at a time" if resources["at_once"] == 1 else f"{resources['at_once']} at a time on this machine"
    facts = [
        ("trials", _format_trials(plan)),
        ("objective", f"{text.clean(objective['metric'])}, the {better} the better"),
        ("resources", f"{_format_resources(resources, resources['custom'])} per trial, {at_once}"),
        ("algorithm", _format_config(plan["search_alg"])),
        ("scheduler", _format_config(plan["scheduler"])),
        ("executor", plan["executor"]),
    ]
    if resources["workers"]:
        workers = resources["workers"]
        each = _format_resources(workers, workers["resources"])
        facts.insert(3, ("workers", f"{workers['count']} per trial, each {each}, {workers['strategy']}"))
    if plan["settings"]:
        facts.append(("settings", _format_pairs(plan["settings"])))
    facts.append(("seed", "random" if plan["seed"] is None else str(plan["seed"])))
    facts.append(("time", _format_time(plan)))
    return facts


def _format_resources(sizes: Mapping[str, Any], custom: Mapping[str, float]) -> str:
    """Return the amounts such as `1 CPU, 0.5 GPU, 1 disk`."""
    named = {"CPU": sizes["num_cpus"], "GPU": sizes["num_gpus"], **custom}
    return ", ".join(
        f"{text.format_number(size)} {text.clean(key)}" for key, size in named.items() if size or key == "CPU"
    )


def _format_trials(plan: Mapping[str, Any]) -> str:
    if plan["grid"] > 1:
        return f"grid {plan['grid']} x {plan['num_samples']} samples = {plan['trials']}"
    return str(plan["trials"])


def _format_config(config: Mapping[str, Any]) -> str:
    words = [config["name"]]
    if config["options"]:
        words.append(f"({_format_pairs(config['options'])})")
    points = len(config.get("points_to_evaluate", ()))
    if points:
        words.append(f"after {points} given point{'s' * (points != 1)}")
    return text.clean(" ".join(words))


def _format_time(plan: Mapping[str, Any]) -> str:
    estimate = plan["estimate"]
    if estimate is None:
        return "unknown until a trial has run; estimate it with --trial-seconds"
    each = f"{text.format_number(estimate['trial_seconds'])} s a trial"
    about = "about" if plan["scheduler"]["name"] == "fifo" else "at most about"
    return f"{about} {text.format_duration(estimate['seconds'])}: {each}, as in {text.clean(estimate['source'])}"


def _format_pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(text.format_pair(key, cell, 60) for key, cell in values.items())


def _format_space(space: Sequence[Mapping[str, Any]], algorithm: str) -> list[str]:
    columns = {
        "parameter": [text.truncate(text.clean(parameter["name"]), 40) for parameter in space],
        "type": [parameter["type"] for parameter in space],
        f"{text.clean(algorithm)} searches": [parameter["seen_as"] for parameter in space],
        "values": [text.clean(parameter["meaning"]) for parameter in space],
    }
    return [f"  {line}" for line in text.align_columns([head, *cells] for head, cells in columns.items())]


def _format_alternatives(fits: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Return the algorithms and schedulers that fit the job, and the reasons against the others."""
    lines = []
    for part, each in fits.items():
        label = {"search_alg": "algorithms", "scheduler": "schedulers"}[part]
        lines.append(f"  {label:<{_LABEL}}{', '.join(name for name, against in each.items() if not against)}")
        for rule, names in _group_by_rule(each).items():
            lines.append(f"  {'':<{_LABEL}}not {', '.join(names)}: {text.clean(rule)}")
    return lines


def _group_by_rule(each: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, against in each.items():
        if against:
            rule = "; ".join(against).replace(f"{name} ", "", 1)
            grouped.setdefault(rule, []).append(name)
    return grouped
