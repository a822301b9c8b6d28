"""The public names for plugin authors, each imported on first use.

`from trialrun_hookspecs import hookimpl` imports pluggy only; pydantic follows with the first model of a job or result.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialrun_hookspecs import spec
    from trialrun_hookspecs.distributions import (
        DERIVED,
        DISTRIBUTIONS,
        Choice,
        Constant,
        Distribution,
        DistributionBase,
        Expression,
        GridSearch,
        LogRandint,
        LogUniform,
        QLogRandint,
        QLogUniform,
        QRandint,
        QRandn,
        QUniform,
        Randint,
        Randn,
        Uniform,
    )
    from trialrun_hookspecs.errors import (
        AllTrialsFailed,
        ArchiveUnsafe,
        ArtifactMissing,
        BackendError,
        BackendRefused,
        BackendUnavailable,
        BadValue,
        CheckpointMissing,
        FixtureInvalid,
        Infeasible,
        JobFailed,
        JobInterrupted,
        JobUnreadable,
        NotOnBackend,
        ObjectiveMissing,
        PluginAbsent,
        PluginBroken,
        PluginError,
        PluginRefused,
        Problem,
        RequestInvalid,
        SpoolFull,
        TrainingFailed,
        TrialFailed,
        TrialrunError,
        UsageError,
    )
    from trialrun_hookspecs.event import Event, Kind
    from trialrun_hookspecs.job_advice import advice, count_trials
    from trialrun_hookspecs.markers import PROJECT_NAME, hookimpl, hookspec
    from trialrun_hookspecs.parsing import json_schema, migrate, parse_request
    from trialrun_hookspecs.request import (
        LOGGERS,
        Checkpoints,
        Params,
        Plateau,
        Plateaus,
        Request,
        SchedulerConfig,
        SearchConfig,
        TuneConfig,
    )
    from trialrun_hookspecs.resources import Workers
    from trialrun_hookspecs.results import (
        BestTrial,
        FailureCause,
        JobResult,
        Status,
        TrialFailure,
        TrialModel,
        TrialStatus,
    )
    from trialrun_hookspecs.run import Context, Run

__all__ = [
    "DERIVED",
    "DISTRIBUTIONS",
    "LOGGERS",
    "PROJECT_NAME",
    "AllTrialsFailed",
    "ArchiveUnsafe",
    "ArtifactMissing",
    "BackendError",
    "BackendRefused",
    "BackendUnavailable",
    "BadValue",
    "BestTrial",
    "CheckpointMissing",
    "Checkpoints",
    "Choice",
    "Constant",
    "Context",
    "Distribution",
    "DistributionBase",
    "Event",
    "Expression",
    "FailureCause",
    "FixtureInvalid",
    "GridSearch",
    "Infeasible",
    "JobFailed",
    "JobInterrupted",
    "JobResult",
    "JobUnreadable",
    "Kind",
    "LogRandint",
    "LogUniform",
    "NotOnBackend",
    "ObjectiveMissing",
    "Params",
    "Plateau",
    "Plateaus",
    "PluginAbsent",
    "PluginBroken",
    "PluginError",
    "PluginRefused",
    "Problem",
    "QLogRandint",
    "QLogUniform",
    "QRandint",
    "QRandn",
    "QUniform",
    "Randint",
    "Randn",
    "Request",
    "RequestInvalid",
    "Run",
    "SchedulerConfig",
    "SearchConfig",
    "SpoolFull",
    "Status",
    "TrainingFailed",
    "TrialFailed",
    "TrialFailure",
    "TrialModel",
    "TrialStatus",
    "TrialrunError",
    "TuneConfig",
    "Uniform",
    "UsageError",
    "Workers",
    "advice",
    "count_trials",
    "hookimpl",
    "hookspec",
    "json_schema",
    "migrate",
    "parse_request",
    "spec",
]

# Searched in this order: modules that need pydantic come last.
_MODULES = (
    "markers",
    "errors",
    "event",
    "run",
    "results",
    "distributions",
    "resources",
    "request",
    "parsing",
    "job_advice",
)


def __getattr__(name: str) -> object:
    if name == "spec":
        return import_module("trialrun_hookspecs.spec")
    if name in __all__:
        for module_name in _MODULES:
            module = import_module(f"trialrun_hookspecs.{module_name}")
            if name in module.__all__:
                value: object = getattr(module, name)
                globals()[name] = value  # later lookups skip this function
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
