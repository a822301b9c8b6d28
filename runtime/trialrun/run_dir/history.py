"""The outcomes of trials, and the state in which an earlier run left a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun_hookspecs.results import FailureCause, TrialModel, TrialStatus

__all__ = ["INTERRUPTED", "LOST_CAUSES", "StudyHistory", "TrialOutcome"]

INTERRUPTED = "interrupted"
"""`ended_by` of a trial that was interrupted; it resumes with the study."""
LOST_CAUSES = frozenset({"killed", "out_of_memory", "node_lost"})
"""Causes of failures that are not the plugin's: such a trial resumes with the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """The end of a trial. `metrics` holds the last value of each, `kept` its checkpoints with metrics, oldest first.

    `declared` is the path of the artifact that its plugin named; `ended_by` the rule or scheduler that ended it early.
    A failed trial has the `cause`, a kind of failure, the `node` where it ran, and the end of its `stderr`.
    """

    trial_id: str
    status: TrialStatus
    config: dict[str, Any]
    metrics: dict[str, Any]
    logdir: Path
    error: str = ""
    traceback: str = ""
    kept: tuple[tuple[str, dict[str, Any]], ...] = ()
    declared: str | None = None
    ended_by: str = ""
    cause: FailureCause = ""
    node: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHistory:
    """The state in which earlier runs left a study. `configs` has every trial that was created, in order.

    `results` holds the reports: trial id, number, metrics. `ended` means that the study was not interrupted; `ended_by`
    names the rule that ended it early, if one did. `used_s` counts the seconds that it ran.
    """

    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, TrialOutcome] = field(default_factory=dict)
    models: dict[str, TrialModel] = field(default_factory=dict)
    results: tuple[tuple[str, int, Mapping[str, Any]], ...] = ()
    ended: bool = False
    ended_by: str = ""
    used_s: float = 0.0

    def resumable_trials(self, *, failed: bool = False) -> list[str]:
        """Return the trials that were interrupted or lost, in order; with `failed`, also those whose plugin failed."""
        return [trial_id for trial_id in self.configs if not self._is_over(trial_id, failed)]

    def _is_over(self, trial_id: str, failed: bool) -> bool:
        outcome = self.outcomes.get(trial_id)
        if outcome is None or outcome.ended_by == INTERRUPTED:
            return False
        return not (outcome.cause in LOST_CAUSES or (failed and outcome.status == "ERROR"))
