"""The plan of a job: as an object, and as lines."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trialrun.cli import text
from trialrun.compat import ALGORITHMS, hints, seen_as, verdicts, with_max_t
from trialrun.executors.capacity import fits, need_of, times
from trialrun_hookspecs.distributions import DistributionBase, GridSearch
from trialrun_hookspecs.request import Params, Request, TuneConfig, advice, count_trials

__all__ = ["MEANINGS", "machine", "planned", "shown"]

_WIDE = 12
_OPTIONS = 200
_KEYS = {"CPU": "num_cpus", "GPU": "num_gpus"}
_TOLD = frozenset({"metric", "mode", "num_samples", "search_alg", "scheduler", "seed"})


def _between(d: Any) -> str:
    return f"from {text.number(d.min)} to {text.number(d.max)}"


def _integers(d: Any) -> str:
    return f"integers from {d.min} to {d.max - 1} ({d.max} is left out)"


def _multiples(d: Any) -> str:
    return f"multiples of {text.number(d.q)} {_between(d)}, both included"


def _normal(d: Any) -> str:
    return f"normal with mean {text.number(d.mean)} and standard deviation {text.number(d.sd)}"


def _listed(d: Any) -> str:
    return text.cut(", ".join(text.value(option) or "null" for option in d.options), _OPTIONS)


_LOG = ", uniform in the logarithm"

MEANINGS: Mapping[str, Callable[[Any], str]] = {
    "uniform": lambda d: f"{_between(d)}, uniform",
    "quniform": lambda d: f"{_multiples(d)}, uniform",
    "loguniform": lambda d: _between(d) + _LOG,
    "qloguniform": lambda d: _multiples(d) + _LOG,
    "randn": _normal,
    "qrandn": lambda d: f"multiples of {text.number(d.q)}, {_normal(d)}",
    "randint": lambda d: f"{_integers(d)}, uniform",
    "qrandint": lambda d: f"{_multiples(d)}, uniform",
    "lograndint": lambda d: _integers(d) + _LOG,
    "qlograndint": lambda d: _multiples(d) + _LOG,
    "choice": lambda d: f"one of {_listed(d)}",
    "grid_search": lambda d: f"each of {_listed(d)}",
    "constant": lambda d: f"always {text.value(d.value) or 'null'}",
    "expression": lambda d: f"is {text.cut(d.expression, _OPTIONS)}",
}
"""What each type of hyperparameter gives, in words."""


def machine() -> dict[str, float]:
    """What this machine has, counted without starting anything."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return {"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)}


def planned(
    request: Request,
    *,
    executor: str,
    machine: Mapping[str, float],
    timing: tuple[float, str] | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The plan as JSON; in training mode, what concerns trials is None.

    `timing`: the seconds of a trial, and who says so.
    """
    request, note = with_max_t(request)
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
        "warnings": [*warnings, *advice(request), *filter(None, [note]), *hints(request)],
    }
    if params.tune_config is not None and total is not None:
        machine = {"memory": math.inf, **machine}  # not counted here: Ray knows what it may take
        plan |= _tuning(params, params.tune_config, total, executor, machine, timing)
        plan["warnings"] += _too_large(params, executor, machine)
    return plan


def _tuning(
    params: Params,
    config: TuneConfig,
    total: int,
    executor: str,
    machine: Mapping[str, float],
    timing: tuple[float, str] | None,
) -> dict[str, Any]:
    at_once = _at_once(params, config, total, executor, machine)
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
        "settings": _settings(config),
        "seed": config.seed,
        "space": [_parameter(d, config.search_alg.name) for d in space],
        "fits": _fits(params, executor),
        "estimate": _estimate(config, total, at_once, timing),
    }


def _at_once(params: Params, config: TuneConfig, total: int, executor: str, machine: Mapping[str, float]) -> int:
    """How many trials run at the same time on this machine; at least one."""
    if executor == "inline":
        return 1
    room = times(need_of(params).total, machine)
    return max(int(min(room, config.max_concurrent_trials or total, total)), 1)


def _settings(config: TuneConfig) -> dict[str, Any]:
    """What the job sets beyond what has a place of its own in the plan."""
    given: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in given.items() if name not in _TOLD}


def _parameter(d: DistributionBase, algorithm: str) -> dict[str, Any]:
    written = d.model_dump(mode="json")
    return {**written, "seen_as": seen_as(algorithm, d), "meaning": MEANINGS[written["type"]](d)}


def _fits(params: Params, executor: str) -> dict[str, dict[str, list[str]]]:
    """Under `search_alg` and `scheduler`, each name and what keeps it from this job, if anything."""
    found = {
        part: {name: [problem.rule for problem in problems] for name, problems in each.items()}
        for part, each in verdicts(params).items()
    }
    for name, facts in ALGORITHMS.items():
        if facts.extra and find_spec(facts.extra) is None:
            found["search_alg"][name].insert(0, f"needs pip install 'trialrun[{facts.extra}]'")
    for name in found["scheduler"]:
        if executor == "inline" and name != "fifo":
            found["scheduler"][name] = ["the inline executor runs every trial to its end"]
    return found


def _estimate(config: TuneConfig, total: int, at_once: int, timing: tuple[float, str] | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    seconds, source = timing
    whole = math.ceil(total / at_once) * seconds
    if config.time_budget_s is not None:
        whole = min(whole, config.time_budget_s)
    return {"seconds": round(whole, 1), "trial_seconds": round(seconds, 3), "at_once": at_once, "source": source}


def _too_large(params: Params, executor: str, machine: Mapping[str, float]) -> list[str]:
    need = need_of(params)
    if executor == "inline" or fits(need, [machine]):
        return []
    workers = " with its workers" if need.workers else ""
    found = [
        f"params.{_KEYS.get(key, 'resources')}: a trial{workers} needs {text.number(value)} {text.clean(key)}, this "
        f"machine has {text.number(machine.get(key, 0))}. Join a larger cluster with --address."
        for key, value in need.total.items()
        if value > machine.get(key, 0)
    ]
    apart = "params.workers.strategy: STRICT_SPREAD needs a node for each. Join a larger cluster with --address."
    return found or [apart]


def shown(plan: Mapping[str, Any]) -> list[str]:
    """The plan as aligned lines."""
    facts: list[tuple[str, str]] = [("dataset", str(plan["dataset"]))]
    if plan["checkpoint"] is not None:
        facts.append(("checkpoint", str(plan["checkpoint"])))
    facts += _training_facts(plan) if plan["trials"] is None else _tuning_facts(plan)
    name = text.cut(text.clean(plan["name"]), 60)
    lines = [f"{name}: {plan['mode']}", *(f"  {label:<{_WIDE}}{fact}" for label, fact in facts)]
    if plan["space"]:
        lines += ["", *_space(plan["space"], plan["search_alg"]["name"])]
    if plan["fits"]:
        lines += ["", *_fitting(plan["fits"])]
    warnings = [f"warning: {text.clean(warning)}" for warning in plan["warnings"]]
    return [*lines, *(["", *warnings] if warnings else [])]


def _training_facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("values", _pairs(plan["hyperparameter"] or {}) or "none")]


def _tuning_facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    resources, objective = plan["resources"], plan["objective"]
    better = "larger" if objective["mode"] == "max" else "smaller"
    at_once = "one at a time" if resources["at_once"] == 1 else f"{resources['at_once']} at a time on this machine"
    facts = [
        ("trials", _trials(plan)),
        ("objective", f"{text.clean(objective['metric'])}, the {better} the better"),
        ("resources", f"{_taken(resources, resources['custom'])} per trial, {at_once}"),
        ("algorithm", _configured(plan["search_alg"])),
        ("scheduler", _configured(plan["scheduler"])),
        ("executor", plan["executor"]),
    ]
    if resources["workers"]:
        workers = resources["workers"]
        each = _taken(workers, workers["resources"])
        facts.insert(3, ("workers", f"{workers['count']} per trial, each {each}, {workers['strategy']}"))
    if plan["settings"]:
        facts.append(("settings", _pairs(plan["settings"])))
    facts.append(("seed", "drawn when it starts" if plan["seed"] is None else str(plan["seed"])))
    facts.append(("time", _time(plan)))
    return facts


def _taken(sizes: Mapping[str, Any], custom: Mapping[str, float]) -> str:
    """`1 CPU, 0.5 GPU, 1 disk`."""
    named = {"CPU": sizes["num_cpus"], "GPU": sizes["num_gpus"], **custom}
    return ", ".join(f"{text.number(size)} {text.clean(key)}" for key, size in named.items() if size or key == "CPU")


def _trials(plan: Mapping[str, Any]) -> str:
    if plan["grid"] > 1:
        return f"grid {plan['grid']} x {plan['num_samples']} samples = {plan['trials']}"
    return str(plan["trials"])


def _configured(config: Mapping[str, Any]) -> str:
    words = [config["name"]]
    if config["options"]:
        words.append(f"({_pairs(config['options'])})")
    points = len(config.get("points_to_evaluate", ()))
    if points:
        words.append(f"after {points} given point{'s' * (points != 1)}")
    return text.clean(" ".join(words))


def _time(plan: Mapping[str, Any]) -> str:
    estimate = plan["estimate"]
    if estimate is None:
        return "unknown until a trial was run (or give --trial-seconds)"
    each = f"{text.number(estimate['trial_seconds'])} s a trial"
    about = "about" if plan["scheduler"]["name"] == "fifo" else "at most about"
    return f"{about} {text.duration(estimate['seconds'])}: {each}, as in {text.clean(estimate['source'])}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{text.clean(key)}={text.value(cell, 60)}" for key, cell in values.items())


def _space(space: Sequence[Mapping[str, Any]], algorithm: str) -> list[str]:
    head = ("parameter", "type", f"{text.clean(algorithm)} searches", "values")
    rows = [head]
    for parameter in space:
        name = text.cut(text.clean(parameter["name"]), 40)
        rows.append((name, parameter["type"], parameter["seen_as"], text.clean(parameter["meaning"])))
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  " + "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[3]]) for row in rows]


def _fitting(fits: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Which other algorithms and schedulers the job could name, and why not the rest."""
    lines = []
    for part, each in fits.items():
        label = {"search_alg": "algorithms", "scheduler": "schedulers"}[part]
        lines.append(f"  {label:<{_WIDE}}{', '.join(name for name, against in each.items() if not against)}")
        for rule, names in _grouped(each).items():
            lines.append(f"  {'':<{_WIDE}}not {', '.join(names)}: {text.clean(rule)}")
    return lines


def _grouped(each: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, against in each.items():
        if against:
            rule = "; ".join(against).replace(f"{name} ", "", 1)
            grouped.setdefault(rule, []).append(name)
    return grouped
