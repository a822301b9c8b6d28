"""Compatibility of algorithms, schedulers and spaces: one table that `plan`, the errors and the docs share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trialrun.space import CODECS, Category, Integer
from trialrun_hookspecs.distributions import Choice, Constant, DistributionBase, Expression, GridSearch
from trialrun_hookspecs.errors import Problem
from trialrun_hookspecs.job_advice import count_trials
from trialrun_hookspecs.request import GRID_ALGORITHM, Params, Request, SchedulerConfig, SearchConfig

__all__ = [
    "ALGORITHMS",
    "GRID_ALGORITHM",
    "SCHEDULERS",
    "AlgorithmFacts",
    "SchedulerFacts",
    "check_alternatives",
    "describe_search_form",
    "fill_max_t",
    "find_incompatibilities",
    "halving_bracket",
    "list_hints",
    "mutable_names",
    "needs_checkpoints",
]

_SCHEDULER = "params.tune_config.scheduler"
_SCALES: Mapping[str, tuple[str, ...]] = {
    "quniform": ("by steps",),
    "loguniform": ("in its logarithm",),
    "qloguniform": ("in its logarithm", "by steps"),
    "lograndint": ("in its logarithm", "by steps"),
    "qlograndint": ("in its logarithm", "by steps"),
    "randn": ("in its quantile",),
    "qrandn": ("in its quantile", "by steps"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmFacts:
    """One search algorithm: `module` has its `make`, `extra` names the extra of trialrun that it needs."""

    module: str
    does: str
    grid: bool = False
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerFacts:
    """One scheduler. `checkpoints`: it pauses or copies trials; `max_t`: it needs the length of a trial; `mutates`: it
    changes hyperparameters of running trials, which misleads an algorithm that learns from them."""

    does: str
    checkpoints: bool = False
    max_t: bool = False
    mutates: bool = False


ALGORITHMS: Mapping[str, AlgorithmFacts] = {
    GRID_ALGORITHM: AlgorithmFacts(module="", does="random and grid search", grid=True),
    "bayesoptsearch": AlgorithmFacts(
        module="trialrun.search.bayesopt", does="Gaussian process (bayesian-optimization)"
    ),
    "hyperoptsearch": AlgorithmFacts(
        module="trialrun.search.hyperopt", does="tree-structured Parzen estimator (hyperopt)"
    ),
    "optunasearch": AlgorithmFacts(
        module="trialrun.search.optuna", does="tree-structured Parzen estimator (Optuna)", extra="optuna"
    ),
    "axsearch": AlgorithmFacts(module="trialrun.search.ax", does="Gaussian process (Ax)", extra="ax"),
}

SCHEDULERS: Mapping[str, SchedulerFacts] = {
    "fifo": SchedulerFacts(does="lets every trial run to its end"),
    "asha": SchedulerFacts(does="stops trials that fall behind, as they reach milestones", max_t=True),
    "hyperband": SchedulerFacts(
        does="pauses trials until their bracket is full, then halves it", checkpoints=True, max_t=True
    ),
    "median": SchedulerFacts(does="stops trials that are worse than the median of the others' averages"),
    "pbt": SchedulerFacts(
        does="lets trials that lag copy better ones and changes their values", checkpoints=True, mutates=True
    ),
    "pb2": SchedulerFacts(
        does="as pbt, with a Gaussian process that chooses the values", checkpoints=True, mutates=True
    ),
}


def find_incompatibilities(params: Params) -> Iterator[Problem]:
    """Return the problems of the job's algorithm, space and scheduler together; unknown names are not judged."""
    config = params.tuning
    algorithm, scheduler = ALGORITHMS.get(config.search_alg.name), SCHEDULERS.get(config.scheduler.name)
    space = params.hyperparameters or ()
    for index, d in enumerate(space):
        if isinstance(d, GridSearch) and not (algorithm and algorithm.grid):
            yield Problem(
                where=f"params.hyperparameters[{index}].type",
                rule=f"{config.search_alg.name} cannot search a grid",
                got="grid_search",
                fix=f"Use choice, or search_alg {GRID_ALGORITHM!r}.",
            )
    if scheduler is None:
        return
    if scheduler.mutates and config.search_alg.name != GRID_ALGORITHM:
        yield Problem(
            where=_SCHEDULER,
            rule=f"{config.scheduler.name} changes values of running trials, which this algorithm cannot follow",
            got=config.search_alg.name,
            fix=f"Use search_alg {GRID_ALGORITHM!r}, or another scheduler.",
        )
    if scheduler.mutates and not any(_is_mutable(d, config.scheduler.name) for d in space):
        yield Problem(
            where=_SCHEDULER,
            rule=f"{config.scheduler.name} has no hyperparameter that it could change",
            fix="It changes numbers in a range (pbt: choices of several options too), not grids.",
        )
    if config.scheduler.name == "pb2":
        for index, d in enumerate(space):
            if "/" in d.name and _is_mutable(d, "pb2"):
                where = f"params.hyperparameters[{index}].name"
                yield Problem(where=where, rule="pb2 knows no nested names", got=d.name, fix="Use pbt, or a flat name.")
    if (
        scheduler.max_t
        and _is_paced_by_iterations(config.scheduler.options)
        and "max_t" not in config.scheduler.options
    ):
        yield Problem(
            where=f"{_SCHEDULER}.options.max_t",
            rule=f"{config.scheduler.name} must know how many reports a trial makes",
            got="nothing",
            fix="Add max_t, or tune_config.stop.training_iteration, or a hyperparameter `epochs`.",
        )


def check_alternatives(params: Params) -> dict[str, dict[str, list[Problem]]]:
    """Return the problems that the job would have with each other search algorithm and scheduler.

    The form is `{"search_alg": {name: problems}, "scheduler": {name: problems}}`, with empty lists for those that fit.
    A missing `max_t` is no problem here: it is an option that the job can add.
    """
    config = params.tuning
    found: dict[str, dict[str, list[Problem]]] = {"search_alg": {}, "scheduler": {}}
    for name in ALGORITHMS:
        found["search_alg"][name] = _problems_with(params, search_alg=SearchConfig(name=name))
    for name, facts in SCHEDULERS.items():
        options: dict[str, Any] = {"max_t": 1} if facts.max_t else {}
        same = name == config.scheduler.name
        scheduler = config.scheduler if same else SchedulerConfig(name=name, options=options)
        found["scheduler"][name] = _problems_with(params, scheduler=scheduler)
    return found


def _problems_with(params: Params, **other: Any) -> list[Problem]:
    tuning = params.tuning.model_copy(update=other)
    return list(find_incompatibilities(params.model_copy(update={"tune_config": tuning})))


def describe_search_form(algorithm: str, distribution: DistributionBase) -> str:
    """Return the form in which the algorithm searches this parameter, such as `real, in its logarithm, by steps`.

    One decoder turns the algorithm's suggestions into values, so the possible values are the same for all algorithms.
    """
    if isinstance(distribution, GridSearch):
        return "walked, every option"
    if isinstance(distribution, Constant | Expression):
        return "not searched"
    if algorithm == GRID_ALGORITHM:
        return "drawn at random"
    primitive = CODECS[type(distribution)].primitive(distribution)
    if isinstance(primitive, Category):
        return f"category, {primitive.size} options" if primitive.size > 1 else "constant"
    if primitive.low == primitive.high:
        return "constant"
    if isinstance(primitive, Integer):
        return "integer"
    return ", ".join(["real", *_SCALES.get(distribution.model_dump()["type"], ())])


def needs_checkpoints(scheduler: SchedulerConfig) -> bool:
    """Return whether the scheduler pauses or copies trials; median stopping does so only with a `min_time_slice`."""
    facts = SCHEDULERS.get(scheduler.name)
    return bool(facts and facts.checkpoints) or (scheduler.name == "median" and "min_time_slice" in scheduler.options)


def mutable_names(params: Params) -> list[str]:
    """Return the hyperparameters that the job's scheduler may change in a running trial."""
    return [d.name for d in params.searched if _is_mutable(d, params.tuning.scheduler.name)]


def _is_mutable(distribution: DistributionBase, scheduler: str) -> bool:
    if isinstance(distribution, Constant | Expression):
        return False
    if isinstance(distribution, Choice):
        return scheduler == "pbt" and len(distribution.options) > 1
    if scheduler == "pb2":
        return hasattr(distribution, "min")
    return not isinstance(distribution, GridSearch)


def _is_paced_by_iterations(options: Mapping[str, Any]) -> bool:
    return bool(options.get("time_attr", "training_iteration") == "training_iteration")


def fill_max_t(request: Request) -> tuple[Request, str]:
    """Return the job with the `max_t` that its scheduler needs, taken from where the job gives a trial's length.

    The second part is a note for people about the origin of the value; empty when nothing was filled in.
    """
    params = request.params
    if params.tune_config is None:
        return request, ""
    scheduler = params.tune_config.scheduler
    facts = SCHEDULERS.get(scheduler.name)
    if (
        facts is None
        or not facts.max_t
        or "max_t" in scheduler.options
        or not _is_paced_by_iterations(scheduler.options)
    ):
        return request, ""
    length, source = _infer_trial_length(params)
    if length is None:
        return request, ""
    filled = scheduler.model_copy(update={"options": {**scheduler.options, "max_t": length}})
    tuning = params.tune_config.model_copy(update={"scheduler": filled})
    note = f"{scheduler.name}: max_t={length}, taken from {source}"
    return request.model_copy(update={"params": params.model_copy(update={"tune_config": tuning})}), note


def _infer_trial_length(params: Params) -> tuple[int | None, str]:
    bound = params.tuning.stop.get("training_iteration")
    if bound is not None:
        return math.ceil(bound), "tune_config.stop.training_iteration"
    for d in params.hyperparameters or ():
        if d.name == "epochs":
            values = (
                [*d.options] if isinstance(d, Choice | GridSearch) else [getattr(d, "max", getattr(d, "value", None))]
            )
            if values and all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in values):
                return max(int(str(v)) for v in values), "the hyperparameter epochs (its largest value)"
    return None, ""


def halving_bracket(max_t: float, reduction_factor: float) -> tuple[int, int]:
    """Return the number of trials that HyperBand runs whole before it halves any, and how many of the next it keeps.

    When `max_t` is too small for halving, it keeps all (0). Ray fills its brackets from the one that halves least:
    bracket s holds ceil((S + 1) / (s + 1) * eta ** s) trials, S = round(log_eta(max_t)). Bracket 0 stops nothing;
    bracket 1 keeps ceil(size / eta) at its milestone.
    Li et al., Hyperband (JMLR 2018), as Ray rounds it.
    """
    steps = round(math.log(max_t) / math.log(reduction_factor))
    size = math.ceil((steps + 1) / 2 * reduction_factor)
    return steps + 1, math.ceil(size / reduction_factor) if steps else 0


def list_hints(request: Request) -> list[str]:
    """Return hints about combinations that are valid but probably not meant."""
    hint = _bracket_hint(request.params) if request.params.is_tune else ""
    return [hint] if hint else []


def _bracket_hint(params: Params) -> str:
    config = params.tuning
    if config.scheduler.name != "hyperband" or "max_t" not in config.scheduler.options:
        return ""
    options = config.scheduler.options
    whole, kept = halving_bracket(float(str(options["max_t"])), float(str(options.get("reduction_factor", 3))))
    at_once, total = config.max_concurrent_trials, count_trials(Request(action="train", params=params)) or 0
    if not kept:
        why = f"max_t {options['max_t']} is too small to be halved"
    elif total <= whole + kept:
        why = f"it runs {whole} trials whole and keeps {kept} of those after them, and the job makes {total}"
    elif at_once is not None and at_once <= kept:
        why = f"it keeps {kept} trials of the first bracket that it halves, and max_concurrent_trials is {at_once}"
    else:
        return ""
    return f"params.tune_config.scheduler: hyperband will stop nothing: {why}. Use asha, or another max_t."
