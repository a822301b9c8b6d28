"""The job: frozen models of its JSON, and `parse_request`, which names everything wrong with it at once."""

from __future__ import annotations

import difflib
import json
import math
import re
import string
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from trialrun_hookspecs.distributions import (
    DERIVED,
    DISTRIBUTIONS,
    Distribution,
    DistributionBase,
    Finite,
    GridSearch,
    Integer,
    JsonObject,
    Positive,
    PositiveInteger,
    not_blank,
    rule_error,
)
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.expressions import BadExpression, names_in, parse_expression
from trialrun_hookspecs.resources import CustomResources, NonNegative, Workers, make_bundle, resource_rules

__all__ = [
    "LOGGERS",
    "Checkpoints",
    "Params",
    "Plateau",
    "Plateaus",
    "Request",
    "SchedulerConfig",
    "SearchConfig",
    "TuneConfig",
    "advice",
    "count_trials",
    "did_you_mean",
    "json_schema",
    "migrate",
    "parse_request",
]

GRID_ALGORITHM = "basicvariantgenerator"
LOGGERS = ("csv", "json", "tensorboard")
_TRIAL_FILES = (  # what trialrun itself writes there
    "artifact",
    "checkpoint_output",
    "checkpoints.jsonl",
    "config.json",
    "finished",
    "params.json",
    "progress.csv",
    "result.json",
)

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


def _normalize_name(value: str) -> str:
    return value.strip().lower()


def _wrap_name(value: Any) -> Any:
    """A bare name stands for `{"name": name}`."""
    return {"name": value} if isinstance(value, str) else value


def _check_fail_fast(value: Any) -> Any:
    if value is True or value is False or value == "raise":
        return value
    raise rule_error("must be true, false or 'raise'", fix="Write true to end the study at the first failed trial.")


def _parse_loggers(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple):
        for index, name in enumerate(names):
            if name not in LOGGERS:
                near = did_you_mean(str(name).lower(), LOGGERS) or f"Known: {', '.join(LOGGERS)}."
                raise rule_error("no such logger", f"[{index}]" if value is names else "", near)
        return tuple(dict.fromkeys(names))
    return value


def _check_template(value: str) -> str:
    """A trial's folder name: plain fields in braces, with a format after a colon."""
    fix = 'Write a template such as "{trial_id}_lr={lr:.3g}".'
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(value) if field is not None]
    except ValueError as error:
        raise rule_error(f"must be a template ({error})", fix=fix) from None
    if "trial_id" not in fields:
        raise rule_error("must have {trial_id}, so that no two trials share a folder", fix=fix)
    bad = next((field for field in fields if not field or any(mark in field for mark in ".[]")), None)
    if bad is not None:
        raise rule_error(f"{{{bad}}} must be trial_id or the name of a hyperparameter", fix=fix)
    return value


def _parse_log_files(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, bool):
        return value
    fix = 'Write true, false, "output.log", or ["stdout.log", "stderr.log"].'
    if not isinstance(names, list | tuple) or not 1 <= len(names) <= 2 or not all(isinstance(n, str) for n in names):
        raise rule_error("must be true, false, a file name, or a list of two", fix=fix)
    if any(not name.strip() or "/" in name or "\\" in name or name in (".", "..", *_TRIAL_FILES) for name in names):
        raise rule_error("must be names of files in the trial's folder that nothing else is called", fix=fix)
    return names[0] if len(names) == 1 else tuple(names)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


AlgorithmName = Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(_normalize_name)]


class SearchConfig(_Model):
    """Which search algorithm, with what."""

    name: AlgorithmName = GRID_ALGORITHM
    points_to_evaluate: Annotated[tuple[JsonObject, ...], Field(strict=False)] = Field(
        default=(), description="tried first, in this order"
    )
    options: JsonObject = Field(default_factory=dict, description="the algorithm's own")


class SchedulerConfig(_Model):
    """Which trial scheduler, with what."""

    name: AlgorithmName = "fifo"
    options: JsonObject = Field(default_factory=dict, description="the scheduler's own, named as in Ray")


def _name_or_model_schema(model: type[_Model]) -> WithJsonSchema:
    name = {"type": "string", "minLength": 1, "pattern": r"\S"}
    return WithJsonSchema({"anyOf": [name, model.model_json_schema()]})


class Plateau(_Model):
    """When the objective counts as not getting better any more."""

    patience: PositiveInteger = Field(description="so many values in a row that do not beat the best")
    min_delta: NonNegative = Field(default=0.0, description="a value must beat the best by more than this")
    grace_period: Annotated[Integer, Field(ge=0)] = Field(default=0, description="the first values, which never stop")


class Plateaus(_Model):
    """Where a plateau ends something."""

    trial: Plateau | None = Field(default=None, description="over the reports of a trial: ends the trial")
    study: Plateau | None = Field(default=None, description="over the trials that ended: ends the study")


class Checkpoints(_Model):
    """Which checkpoints of a trial are kept; and, of a class that makes steps, when they are made."""

    keep: PositiveInteger | None = Field(default=None, description="how many of a trial's; the newest is always kept")
    by: str | None = Field(default=None, description="the metric that says which are best; absent: the objective")
    mode: Literal["max", "min"] | None = Field(default=None, description="whether `by` is to be large or small")
    every: Annotated[Integer, Field(ge=0)] = Field(default=0, description="classes with step(): after so many steps")
    at_end: bool = Field(default=True, description="classes with step(): at the trial's end, whatever ended it")


class TuneConfig(_Model):
    """How a tuning job searches, and when it stops."""

    metric: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] = Field(
        description="the objective: a key of what trials report"
    )
    mode: Literal["max", "min"] = Field(description="whether the objective is to be large or small")
    num_samples: PositiveInteger = Field(default=1, description="trials; a grid is repeated this often")
    max_concurrent_trials: PositiveInteger | None = Field(
        default=None, description="absent: as many as there is room for"
    )
    search_alg: Annotated[SearchConfig, BeforeValidator(_wrap_name), _name_or_model_schema(SearchConfig)] = Field(
        default=SearchConfig()
    )
    scheduler: Annotated[SchedulerConfig, BeforeValidator(_wrap_name), _name_or_model_schema(SchedulerConfig)] = Field(
        default=SchedulerConfig()
    )
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="one seed for search and trials; drawn and recorded when absent"
    )
    stop: dict[str, Finite] = Field(
        default_factory=dict, description="a trial ends when one of these metrics reaches its value (≥)"
    )
    time_budget_s: Positive | None = Field(default=None, description="the study ends after so many seconds")
    target: Finite | None = Field(default=None, description="the study ends when the objective reaches this")
    max_failures: Annotated[Integer, Field(ge=-1)] = Field(
        default=0, description="how often a failed trial is started again; -1: without limit"
    )
    plateau: Plateaus = Field(default=Plateaus(), description="end what does not get better any more")
    fail_fast: Annotated[
        bool | str, BeforeValidator(_check_fail_fast), WithJsonSchema({"enum": [False, True, "raise"]})
    ] = Field(
        default=False,
        description='end the study at the first failed trial; "raise": and fail the job with its error',
    )
    allow_restart: bool = Field(
        default=False, description="let a scheduler pause trials that report no checkpoints: they start over"
    )
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="which checkpoints are made and kept")
    loggers: Annotated[
        tuple[str, ...],
        BeforeValidator(_parse_loggers),
        Field(strict=False),
        WithJsonSchema(
            {"anyOf": [{"enum": list(LOGGERS)}, {"type": "array", "items": {"enum": list(LOGGERS)}}], "default": []}
        ),
    ] = Field(default=(), description="files of each trial's results, in its folder: csv, json, tensorboard")
    log_to_file: Annotated[
        bool | str | tuple[str, str],
        BeforeValidator(_parse_log_files),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "boolean"},
                    {"type": "string", "minLength": 1},
                    {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 2},
                ]
            }
        ),
    ] = Field(
        default=True, description="where in a trial's folder its output goes; true: the files `stdout` and `stderr`"
    )
    trial_name: Annotated[str, AfterValidator(_check_template)] = Field(
        default="{trial_id}", description="names a trial's folder: `{trial_id}` and hyperparameters in braces"
    )
    storage_path: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] | None = Field(
        default=None, description="where the results folder is copied to: a path, or a URL such as s3://bucket/folder"
    )
    sync_period_s: Positive = Field(default=300.0, description="seconds between copies to storage_path")
    reuse_actors: bool = Field(default=True, description="run trials one after another in the same worker processes")
    legacy_train_report: bool = Field(
        default=False, description="make `ray.train.report` work in trials (Ray Train v1)"
    )
    wait_for_gpu_s: Positive | None = Field(
        default=None,
        description="a trial waits so long at most until its share of the GPU's memory is free, else it fails",
    )

    @property
    def output_files(self) -> tuple[str, str] | None:
        """The files of a trial's stdout and stderr (the same one for both, it may be); None: they are not kept."""
        if isinstance(self.log_to_file, bool):
            return ("stdout", "stderr") if self.log_to_file else None
        return (self.log_to_file,) * 2 if isinstance(self.log_to_file, str) else self.log_to_file


class Params(_Model):
    """What to train or tune, on what."""

    name: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] = Field(
        description="unique among models (training) and active jobs"
    )
    description: str | None = None
    dataset: Integer = Field(description="dataset version id")
    checkpoint: Integer | None = Field(default=None, description="id of the model to go on from")
    is_tune: bool = Field(default=False, description="true: tuning, false: training")
    num_cpus: NonNegative | None = Field(default=None, description="CPUs per trial (tuning only; default 1)")
    num_gpus: NonNegative | None = Field(default=None, description="GPUs per trial (tuning only; default 0)")
    resources: CustomResources | None = Field(
        default=None, description="custom resources per trial, by the names that nodes were started with (tuning only)"
    )
    workers: Workers | None = Field(default=None, description="workers that each trial starts itself (tuning only)")
    hyperparameter: JsonObject | None = Field(default=None, description="training: the plugin's own structure")
    hyperparameters: Annotated[tuple[Distribution, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="tuning: the search space"
    )
    tune_config: TuneConfig | None = Field(default=None, description="tuning: how to search")

    @model_validator(mode="after")
    def _check_mode_rules(self) -> Params:
        broken = list(_mode_rules({key: getattr(self, key) for key in type(self).model_fields}))
        if broken:
            raise _join_rule_errors(broken)
        return self

    @property
    def tuning(self) -> TuneConfig:
        """The tune_config of a tuning job. Raises ValueError in training mode, which has none."""
        if self.tune_config is None:
            raise ValueError("a training job has no tune_config")
        return self.tune_config

    @property
    def searched(self) -> tuple[DistributionBase, ...]:
        """The hyperparameters that are searched: all but constants and expressions."""
        return tuple(d for d in self.hyperparameters or () if not isinstance(d, tuple(DERIVED.values())))

    @property
    def cpus(self) -> float:
        """CPUs per trial."""
        return 1.0 if self.num_cpus is None else self.num_cpus

    @property
    def gpus(self) -> float:
        """GPUs per trial."""
        return 0.0 if self.num_gpus is None else self.num_gpus

    @property
    def bundle(self) -> dict[str, float]:
        """What a trial itself takes, as Ray counts it: `{"CPU": 1.0}`."""
        return make_bundle(self.cpus, self.gpus, self.resources or {})

    @property
    def worker_bundles(self) -> list[dict[str, float]]:
        """What each worker of a trial takes; empty when it starts none."""
        workers = self.workers
        return [make_bundle(workers.num_cpus, workers.num_gpus, workers.resources)] * workers.count if workers else []


def _get_field(thing: Any, key: str) -> Any:
    """A field of a model, or of the raw JSON it is to be made from."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)


def _mode_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The rules that relate fields of `params` to each other: (path below params, rule, remedy)."""
    if isinstance(params.get("is_tune", False), bool):  # else which rules hold is not known
        yield from _tuning_rules(params) if params.get("is_tune") else _training_rules(params)


_TUNING_ONLY = ("hyperparameters", "tune_config", "num_cpus", "num_gpus", "resources", "workers")


def _training_rules(params: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    if params.get("hyperparameter") is None:
        yield "hyperparameter", "hyperparameter is required when is_tune=False", "Add a dict, {} when there is none."
    for key in _TUNING_ONLY:
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
    """Expressions go by names that are there, and by no name that goes by theirs."""
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
            continue  # said by the field itself
    for index, wanted in goes_by.values():
        for name in dict.fromkeys(wanted):
            if name not in names:
                fix = did_you_mean(name, names) or f"Known: {', '.join(names)}."
                yield f"hyperparameters[{index}].expression", f"there is no hyperparameter {name!r}", fix
    for name, (index, _) in goes_by.items():
        if name in _find_dependencies(name, goes_by):
            rule = f"{name!r} must not depend on itself"
            yield f"hyperparameters[{index}].expression", rule, "Break the circle."


def _search_rules(space: Any) -> Iterable[tuple[str, str, str]]:
    if isinstance(space, list | tuple) and space and all(_get_field(item, "type") in [*DERIVED] for item in space):
        yield "hyperparameters", "at least one hyperparameter must be searched", "Make a constant a choice."


def _find_dependencies(start: str, goes_by: Mapping[str, tuple[int, list[str]]]) -> set[str]:
    found: set[str] = set()
    open_ = list(goes_by[start][1])
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += goes_by[name][1] if name in goes_by else []
    return found


def _has_credentials(url: Any) -> bool:
    """Whether a URL has a user or a secret in it, which would end up in the job's record."""
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
        return  # said by the field itself
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
            rule = f"names must be unique; hyperparameters[{first}] has it too"
            yield f"hyperparameters[{index}].name", rule, "Rename one of them."
    for name, index in seen.items():
        for depth in range(1, name.count("/") + 1):
            parent = "/".join(name.split("/")[:depth])
            if parent in seen:
                rule = f"{name!r} is nested in {parent!r}, which is a parameter itself"
                yield f"hyperparameters[{index}].name", rule, "Rename one of them."


class Request(_Model):
    """A job, validated: what stands in it is what runs."""

    action: Literal["train"]
    params: Params


def _join_rule_errors(broken: Sequence[tuple[str, str, str]]) -> PydanticCustomError:
    return rule_error("; ".join(rule for _, rule, _ in broken), several=broken)


def count_trials(request: Request) -> int | None:
    """How many trials the job will really run: None in training mode.

    A grid is repeated num_samples times. A point to evaluate stands for one sample: where it fixes a grid parameter,
    that sample's grid is smaller. Points beyond num_samples make random and grid search longer.
    """
    params = request.params
    if params.tune_config is None or params.hyperparameters is None:
        return None
    samples, points = params.tune_config.num_samples, params.tune_config.search_alg.points_to_evaluate
    if params.tune_config.search_alg.name != GRID_ALGORITHM:
        return samples
    grids = {d.name: len(d.options) for d in params.hyperparameters if isinstance(d, GridSearch)}
    whole = math.prod(grids.values())
    for_points = (
        math.prod(size for name, size in grids.items() if not _has_fixed_value(point, name)) for point in points
    )
    return sum(for_points) + whole * max(0, samples - len(points))


def _has_fixed_value(point: Any, name: str) -> bool:
    """Whether a point, written flat or nested, has a value for the hyperparameter."""
    if not isinstance(point, Mapping):
        return False
    head, slash, rest = name.partition("/")
    return name in point or (bool(slash) and _has_fixed_value(point.get(head), rest))


def advice(request: Request) -> list[str]:
    """What is allowed and probably not meant."""
    params, total = request.params, count_trials(request)
    if params.tune_config is None or total is None:
        return []
    config = params.tune_config
    grid = math.prod(len(d.options) for d in params.hyperparameters or () if isinstance(d, GridSearch))
    found = []
    if 1 < grid == config.num_samples and config.search_alg.name == GRID_ALGORITHM:
        found.append(
            f"params.tune_config.num_samples: the grid has {grid} points and is repeated {config.num_samples} times, "
            f"which makes {total} trials. Set num_samples to 1 to run each point once."
        )
    points = len(config.search_alg.points_to_evaluate)
    if points > config.num_samples:
        what = f"all are tried, which makes {total} trials"
        if config.search_alg.name != GRID_ALGORITHM:
            what = f"only the first {config.num_samples} are tried"
        found.append(
            f"params.tune_config.search_alg.points_to_evaluate: {points} points for num_samples={config.num_samples}: "
            f"{what}. Set num_samples to at least {points}."
        )
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?` or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def migrate(data: Mapping[str, Any]) -> dict[str, Any]:
    """The current form of a job in the deprecated form `{"action": "tune", …}`; other jobs come back as they are."""
    new = dict(data)
    if new.get("action") != "tune":
        return new
    new["action"] = "train"
    params = new.get("params")
    if isinstance(params, Mapping):
        renamed = {"hyperparameters" if key == "hyperparameter" else key: value for key, value in params.items()}
        if "hyperparameters" in params:
            renamed = dict(params)  # both there: nothing to rename, the model says what is wrong
        new["params"] = {**renamed, "is_tune": True}
    return new


def _fold_hyperparameters(data: Any) -> Any:
    """Training mode: a one-item `hyperparameters: [dict]` is the hyperparameter."""
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
    """The job as it will run. Raises RequestInvalid with every problem; warns once of the deprecated form."""
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
            **{key: {"type": "null"} for key in _TUNING_ONLY},
        },
    },
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a job in its current form.

    It accepts every valid job. What it leaves to `parse_request` are the rules that relate values to each other:
    min < max, and min > 0 for log types; multiples of q, no more than 2**53 of them; unique names, none nested in
    another; fail_fast with max_failures; num_cpus and num_gpus both 0; a GPU and a half. Some rules on single values
    too: text that Python calls blank, names and options that mean something to Ray, text that UTF-8 cannot hold,
    nesting without end, integers that are no float.
    """
    schema = Request.model_json_schema()
    schema["$defs"]["Params"].update(_MODE_SCHEMA)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "trialrun job"}


# -- from pydantic's errors to ours ------------------------------------------------------------------------------


def _collect_problems(invalid: ValidationError, data: Any) -> list[Problem]:
    """Every problem once. Where a field is wrong pydantic skips the rules between fields: they are asked here."""
    problems = [problem for error in invalid.errors() for problem in _translate_error(error)]
    params = data.get("params") if isinstance(data, Mapping) else None
    if isinstance(params, Mapping):
        problems += [Problem(where=f"params.{key}", rule=rule, fix=fix) for key, rule, fix in _mode_rules(params)]
    misspelt = {p.where.rpartition(".")[0] + "." + word for p in problems for word in _find_suggestions(p)}
    missing = [p for p in problems if not (p.rule == "required" and p.where in misspelt)]
    return list(dict.fromkeys(missing))


def _find_suggestions(problem: Problem) -> list[str]:
    """The key that an unknown key was probably meant to be."""
    return re.findall(r"^(?:Use|Did you mean) '(\w+)'", problem.fix) if problem.rule == "unknown key" else []


def _format_path(loc: Sequence[Any]) -> str:
    """`params.hyperparameters[2].min`: pydantic's location without the tag of the union."""
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
    """The keys of the object that the last part of `loc` stands in."""
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
    """The one model in a field's annotation; None: there is none, or one of many that a tag tells apart."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = {model for part in get_args(annotation) if (model := _find_model(part))}
    return found.pop() if len(found) == 1 else None


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
        return []  # what is wrong with its items is said there
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
