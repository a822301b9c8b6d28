"""The error tree: everything that trialrun raises on purpose.

TrialrunError                    exit code 1
├── UsageError                   exit code 2: the call was wrong, nothing ran
│   ├── RequestInvalid           the job's JSON, all problems at once
│   ├── JobUnreadable            the job file itself
│   ├── PluginError
│   │   ├── PluginAbsent         there is no such plugin
│   │   ├── PluginBroken         the plugin exists and does not load
│   │   └── PluginRefused        the plugin loads and breaks the contract
│   ├── FixtureInvalid           --dataset / --checkpoint
│   └── Infeasible               the machine or cluster cannot hold one trial
├── BackendError
│   ├── BackendUnavailable       no usable answer (may be tried again)
│   ├── BackendRefused           a refusal (4xx)
│   └── NotOnBackend             an id of a dataset, checkpoint or model that the backend does not know
├── ArchiveUnsafe                an archive that writes outside its folder, or a decompression bomb
├── BadValue                     a value refused at a log_*, report or set_* call (also a ValueError)
├── SpoolFull                    a log_* call for which the disk or the spool's limit has no room
├── ArtifactMissing              a model artifact that is absent, empty or out of bounds
├── CheckpointMissing            a trial of a scheduler that pauses reported no checkpoint
├── ObjectiveMissing             a trial did not report the metric it is judged by
└── JobFailed
    ├── TrainingFailed           train() raised or returned nothing usable
    ├── TrialFailed              a trial failed, and the job asked for fail_fast: "raise"
    ├── AllTrialsFailed          no trial of the study ended without an error
    └── JobInterrupted           stopped from outside
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AllTrialsFailed",
    "ArchiveUnsafe",
    "ArtifactMissing",
    "BackendError",
    "BackendRefused",
    "BackendUnavailable",
    "BadValue",
    "CheckpointMissing",
    "FixtureInvalid",
    "Infeasible",
    "JobFailed",
    "JobInterrupted",
    "JobUnreadable",
    "NotOnBackend",
    "ObjectiveMissing",
    "PluginAbsent",
    "PluginBroken",
    "PluginError",
    "PluginRefused",
    "Problem",
    "RequestInvalid",
    "SpoolFull",
    "TrainingFailed",
    "TrialFailed",
    "TrialrunError",
    "UsageError",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: `where` it is, the `rule` it breaks, the value we `got`, and how to `fix` it."""

    where: str
    rule: str
    got: str = ""
    fix: str = ""

    def __str__(self) -> str:
        got = f", got {self.got}" if self.got else ""
        fix = f". {self.fix}" if self.fix else ""
        return f"{self.where}: {self.rule}{got}{fix}" if self.where else f"{self.rule}{got}{fix}"


class TrialrunError(Exception):
    """The base of all errors; `problems` holds at least one entry.

    Built from the four parts of one problem, or from `problems=` when there are several.
    """

    exit_code = 1

    def __init__(
        self,
        rule: str = "",
        *,
        where: str = "",
        got: str = "",
        fix: str = "",
        problems: Sequence[Problem] = (),
    ) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems) or (Problem(where=where, rule=rule, got=got, fix=fix),)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:  # a worker pickles it, and pickle passes no keyword arguments
        return (_rebuild_error, (type(self), self.problems), self.__dict__)


def _rebuild_error(kind: type[TrialrunError], problems: tuple[Problem, ...]) -> TrialrunError:
    return kind(problems=problems)


class UsageError(TrialrunError):
    """The call was wrong; nothing ran."""

    exit_code = 2


class RequestInvalid(UsageError):
    """The job's JSON breaks rules; every one of them is in `problems`."""


class JobUnreadable(UsageError):
    """The job file is absent, a folder, too large, or neither JSON nor YAML."""


class PluginError(UsageError):
    """A plugin cannot be used."""


class PluginAbsent(PluginError):
    """No plugin has that name or path."""


class PluginBroken(PluginError):
    """The plugin raises while it loads; the cause is chained."""


class PluginRefused(PluginError):
    """The plugin loads and breaks the contract; `problems` name plugin, hook and signature."""


class FixtureInvalid(UsageError):
    """A dataset or checkpoint fixture that cannot be served."""


class Infeasible(UsageError):
    """One trial needs more than the machine or cluster has."""


class BackendError(TrialrunError):
    """A request to the backend failed."""


class BackendUnavailable(BackendError):
    """No usable answer: connection, time-out, 5xx, 429. `retry_after` is in seconds, or None."""

    retry_after: float | None = None


class BackendRefused(BackendError):
    """The backend refused a request; `status` is the HTTP status, 0 when unknown."""

    status: int = 0


class NotOnBackend(BackendError):
    """An id that the backend does not know."""


class ArchiveUnsafe(TrialrunError):
    """An archive with members outside its folder, links, or too much content."""


class BadValue(TrialrunError, ValueError):
    """A value refused at the call; nothing of it was queued."""


class SpoolFull(TrialrunError):
    """Reports are stored on the worker's disk first, and it is full; nothing of the call was queued."""


class ArtifactMissing(TrialrunError):
    """A model artifact that is absent, empty, or outside what the job may read."""


class ObjectiveMissing(TrialrunError):
    """The metric that a study optimises is absent from a result, or not finite."""


class CheckpointMissing(TrialrunError):
    """The scheduler pauses or copies trials, and this trial reported no checkpoint to resume from."""


class JobFailed(TrialrunError):
    """The job ran and did not succeed."""


class TrainingFailed(JobFailed):
    """train() raised, or returned nothing that can be uploaded; the cause is chained."""


class AllTrialsFailed(JobFailed):
    """Every trial of the study ended with an error."""


class TrialFailed(JobFailed):
    """A trial failed in a job with `fail_fast: "raise"`."""


class JobInterrupted(JobFailed):
    """The job was stopped from outside before its end."""

    exit_code = 130
