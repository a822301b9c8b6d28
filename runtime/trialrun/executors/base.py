"""What a study is, who listens to it, and what an executor makes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trialrun.plugins import Manager, Plugin
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import CheckpointRecord
from trialrun.run_dir.history import StudyHistory, TrialOutcome
from trialrun.run_dir.run_config import RunConfig
from trialrun.run_dir.trial_dirs import TrialFolders
from trialrun.space import Space
from trialrun_hookspecs.errors import UsageError
from trialrun_hookspecs.request import Params, TuneConfig
from trialrun_hookspecs.results import TrialStatus

__all__ = [
    "Executor",
    "Listener",
    "Study",
    "StudyOutcome",
    "derive_trial_seed",
    "no_local_ray",
]


def no_local_ray(resources: Mapping[str, float], why: str) -> UsageError:
    """Resources were given for a Ray that is not started here."""
    fix = "Leave it out, or leave out --address (and RAY_ADDRESS) and --executor inline."
    got = f"{', '.join(f'{name}={amount:g}' for name, amount in resources.items())}; {why}"
    return UsageError("is for a Ray that is started here", where="--resource", got=got, fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A tuning job, ready to run. `run_key` is unique to this run and begins the keys of its events."""

    params: Params
    tune_config: TuneConfig
    space: Space
    total: int
    job_id: int
    run_key: str
    seed: int
    plugin: Plugin
    manager: Manager
    dataset: Any
    checkpoint: dict[str, Any] | None
    results: Path
    run_config: RunConfig
    history: StudyHistory = field(default_factory=StudyHistory)
    restore: CheckpointRecord | None = None  # where trials begin that have no checkpoint of their own
    resumed: tuple[str, ...] = ()  # ids of trials of the history that run again, from their newest checkpoint

    @property
    def remaining(self) -> int:
        """How many trials are still to be made."""
        return 0 if self.history.ended else max(self.total - len(self.history.configs), 0)

    @property
    def trials_dir(self) -> Path:
        return self.results / layout.TRIALS_DIR

    @property
    def trial_folders(self) -> TrialFolders:
        """The folders of the trials."""
        names = tuple(self.space.names)
        return TrialFolders(root=self.trials_dir, template=self.tune_config.trial_name, names=names)

    @property
    def spool_dir(self) -> Path:
        return self.results / layout.SPOOL_DIR


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """All trials in the order they were made, and the rule that ended the study early, if one did."""

    trials: tuple[TrialOutcome, ...]
    ended_by: str = ""
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


class Listener(Protocol):
    """Told of everything that happens to trials, on the driver. What it raises must not reach the executor."""

    def on_start(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """The trial exists, with its flat hyperparameters."""

    def on_status(self, trial_id: str, status: TrialStatus) -> None:
        """It changed its status."""

    def on_report(self, trial_id: str, iteration: int, metrics: Mapping[str, Any]) -> None:
        """It reported; `metrics` are as reported, without what Ray adds."""

    def on_end(self, outcome: TrialOutcome) -> None:
        """It ended, for good."""

    def tick(self) -> None:
        """Called often while the study runs, whether something happened or not."""

    def warn(self, text: str) -> None:
        """Something the user should know."""


class Executor(Protocol):
    """Runs a study's trials."""

    name: str

    def check_study(self, study: Study) -> None:
        """Refuse before anything starts what could only hang or fail. Raises UsageError."""

    def execute(self, study: Study, listener: Listener) -> StudyOutcome:
        """Run all trials to their end."""


def derive_trial_seed(seed: int, trial_id: str, config: Mapping[str, Any]) -> int:
    """The seed of one trial, below 2**32: the same for the same job seed and the same trial of the study.

    Ray ends a trial's id with its number (`d4f7e_00003`) when it makes the variants itself; with a search algorithm the
    id is random, and the trial is known by its hyperparameters.
    """
    number = trial_id.rpartition("_")[2]
    mark = number if "_" in trial_id and number.isdigit() else json.dumps(config, sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(f"{seed}/{mark}".encode()).digest()[:4], "big")
