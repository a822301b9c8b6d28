"""The models of a job: frozen, strict, each field with its meaning and its default."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from trialrun_hookspecs.distributions import (
    DERIVED,
    Distribution,
    DistributionBase,
    Finite,
    Integer,
    JsonObject,
    Positive,
    PositiveInteger,
    not_blank,
    rule_error,
)
from trialrun_hookspecs.resources import CustomResources, NonNegative, Workers, make_bundle
from trialrun_hookspecs.rules import mode_rules
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = [
    "GRID_ALGORITHM",
    "LOGGERS",
    "Checkpoints",
    "Params",
    "Plateau",
    "Plateaus",
    "Request",
    "SchedulerConfig",
    "SearchConfig",
    "TuneConfig",
]

GRID_ALGORITHM = "basicvariantgenerator"

LOGGERS = ("csv", "json", "tensorboard")


_TRIAL_FILES = (  # written there by trialrun itself
    "artifact",
    "checkpoint_output",
    "checkpoints.jsonl",
    "config.json",
    "finished",
    "params.json",
    "progress.csv",
    "result.json",
)


def _normalize_name(value: str) -> str:
    return value.strip().lower()


def _wrap_name(value: Any) -> Any:
    """Return `{"name": name}` for a bare name."""
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
    """Return the template of a trial's folder name if it has plain fields only, with a format after a colon."""
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
    """The search algorithm and its settings."""

    name: AlgorithmName = GRID_ALGORITHM
    points_to_evaluate: Annotated[tuple[JsonObject, ...], Field(strict=False)] = Field(
        default=(), description="points that are tried first, in this order"
    )
    options: JsonObject = Field(default_factory=dict, description="options of the algorithm itself")


class SchedulerConfig(_Model):
    """The trial scheduler and its options."""

    name: AlgorithmName = "fifo"
    options: JsonObject = Field(default_factory=dict, description="options of the scheduler itself, named as in Ray")


def _name_or_model_schema(model: type[_Model]) -> WithJsonSchema:
    name = {"type": "string", "minLength": 1, "pattern": r"\S"}
    return WithJsonSchema({"anyOf": [name, model.model_json_schema()]})


class Plateau(_Model):
    """The rule by which the objective has stopped improving."""

    patience: PositiveInteger = Field(description="the number of values in a row that do not beat the best")
    min_delta: NonNegative = Field(default=0.0, description="a value must beat the best by more than this")
    grace_period: Annotated[Integer, Field(ge=0)] = Field(
        default=0, description="the number of first values that never stop"
    )


class Plateaus(_Model):
    """Plateau rules that end a trial or the study."""

    trial: Plateau | None = Field(default=None, description="over a trial's reports: ends that trial")
    study: Plateau | None = Field(default=None, description="over the finished trials: ends the study")


class Checkpoints(_Model):
    """The checkpoints of a trial that are kept and, for a class with step(), when they are saved."""

    keep: PositiveInteger | None = Field(
        default=None, description="checkpoints kept per trial; the newest is always kept"
    )
    by: str | None = Field(default=None, description="the metric that ranks them; default: the objective")
    mode: Literal["max", "min"] | None = Field(
        default=None, description="whether a large or a small value of `by` is better"
    )
    every: Annotated[Integer, Field(ge=0)] = Field(
        default=0, description="classes with step(): save after every so many steps; 0: never"
    )
    at_end: bool = Field(default=True, description="classes with step(): save when the trial ends, for any reason")


class TuneConfig(_Model):
    """The search of a tuning job and the rules that end it."""

    metric: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] = Field(
        description="the objective: the name of a metric that trials report"
    )
    mode: Literal["max", "min"] = Field(description="whether a large or a small objective is better")
    num_samples: PositiveInteger = Field(default=1, description="number of trials; a grid is repeated this often")
    max_concurrent_trials: PositiveInteger | None = Field(
        default=None, description="default: as many as the resources allow"
    )
    search_alg: Annotated[SearchConfig, BeforeValidator(_wrap_name), _name_or_model_schema(SearchConfig)] = Field(
        default=SearchConfig()
    )
    scheduler: Annotated[SchedulerConfig, BeforeValidator(_wrap_name), _name_or_model_schema(SchedulerConfig)] = Field(
        default=SchedulerConfig()
    )
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="the seed of search and trials; default: drawn at random and recorded"
    )
    stop: dict[str, Finite] = Field(
        default_factory=dict, description="a trial ends when one of these metrics reaches its value (≥)"
    )
    time_budget_s: Positive | None = Field(default=None, description="seconds after which the study ends")
    target: Finite | None = Field(default=None, description="the study ends when the objective reaches this")
    max_failures: Annotated[Integer, Field(ge=-1)] = Field(
        default=0, description="how often a failed trial is restarted; -1: without limit"
    )
    plateau: Plateaus = Field(
        default=Plateaus(), description="end trials or the study when the objective stops improving"
    )
    fail_fast: Annotated[
        bool | str, BeforeValidator(_check_fail_fast), WithJsonSchema({"enum": [False, True, "raise"]})
    ] = Field(
        default=False,
        description='end the study at the first failed trial; "raise": also fail the job with its error',
    )
    allow_restart: bool = Field(
        default=False, description="let a scheduler pause trials that report no checkpoints; they start over"
    )
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="the checkpoints that are saved and kept")
    loggers: Annotated[
        tuple[str, ...],
        BeforeValidator(_parse_loggers),
        Field(strict=False),
        WithJsonSchema(
            {"anyOf": [{"enum": list(LOGGERS)}, {"type": "array", "items": {"enum": list(LOGGERS)}}], "default": []}
        ),
    ] = Field(default=(), description="formats of the result files in each trial's folder: csv, json, tensorboard")
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
    ] = Field(default=True, description="files in a trial's folder that get its output; true: `stdout` and `stderr`")
    trial_name: Annotated[str, AfterValidator(_check_template)] = Field(
        default="{trial_id}",
        description="template of a trial's folder name: `{trial_id}` and hyperparameters in braces",
    )
    storage_path: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] | None = Field(
        default=None, description="target of copies of the results folder: a path, or a URL such as s3://bucket/folder"
    )
    sync_period_s: Positive = Field(default=300.0, description="seconds between copies to storage_path")
    reuse_actors: bool = Field(default=True, description="run trials one after another in the same worker processes")
    legacy_train_report: bool = Field(
        default=False, description="make `ray.train.report` work in trials (Ray Train v1)"
    )
    wait_for_gpu_s: Positive | None = Field(
        default=None,
        description="seconds that a trial waits for its share of the GPU's memory to be free before it fails",
    )

    @property
    def output_files(self) -> tuple[str, str] | None:
        """The files of a trial's stdout and stderr, which may be the same; None when output is not kept."""
        if isinstance(self.log_to_file, bool):
            return ("stdout", "stderr") if self.log_to_file else None
        return (self.log_to_file,) * 2 if isinstance(self.log_to_file, str) else self.log_to_file


class Params(_Model):
    """The subject of a job: data, resources, and hyperparameters or search space."""

    name: Annotated[str, Field(min_length=1, pattern=r"\S"), AfterValidator(not_blank)] = Field(
        description="unique among models (training) and active jobs"
    )
    description: str | None = None
    dataset: Integer = Field(description="dataset version id")
    checkpoint: Integer | None = Field(default=None, description="id of the model to continue from")
    is_tune: bool = Field(default=False, description="true: tuning, false: training")
    num_cpus: NonNegative | None = Field(default=None, description="CPUs per trial (tuning only; default 1)")
    num_gpus: NonNegative | None = Field(default=None, description="GPUs per trial (tuning only; default 0)")
    resources: CustomResources | None = Field(
        default=None, description="custom resources per trial, by the names that nodes were started with (tuning only)"
    )
    workers: Workers | None = Field(default=None, description="workers that each trial starts itself (tuning only)")
    hyperparameter: JsonObject | None = Field(
        default=None, description="training: hyperparameters in the plugin's own structure"
    )
    hyperparameters: Annotated[tuple[Distribution, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="tuning: the search space"
    )
    tune_config: TuneConfig | None = Field(default=None, description="tuning: the search")

    @model_validator(mode="after")
    def _check_mode_rules(self) -> Params:
        broken = list(mode_rules({key: getattr(self, key) for key in type(self).model_fields}))
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
        """The resources of a trial itself, as Ray counts them: `{"CPU": 1.0}`."""
        return make_bundle(self.cpus, self.gpus, self.resources or {})

    @property
    def worker_bundles(self) -> list[dict[str, float]]:
        """The resources of each worker of a trial; empty when it starts none."""
        workers = self.workers
        return [make_bundle(workers.num_cpus, workers.num_gpus, workers.resources)] * workers.count if workers else []


class Request(_Model):
    """A validated job."""

    action: Literal["train"]
    params: Params


def _join_rule_errors(broken: Sequence[tuple[str, str, str]]) -> PydanticCustomError:
    return rule_error("; ".join(rule for _, rule, _ in broken), several=broken)
