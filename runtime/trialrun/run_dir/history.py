"""How trials ended, and what an earlier run of a study came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun_hookspecs.results import FailureCause, TrialModel, TrialStatus

__all__ = ["INTERRUPTED", "LOST_CAUSES", "StudyHistory", "TrialOutcome"]

INTERRUPTED = "interrupted"
"""What `ended_by` says of a trial that was cut off; it goes on when the study does."""
LOST_CAUSES = frozenset({"killed", "out_of_memory", "node_lost"})
"""Causes of failures that are not the plugin's: such a trial goes on when the study does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """How a trial ended. `metrics` are its last, merged; `kept` its checkpoints, oldest first, with their metrics.

    `declared` is where its plugin said that the artifact is; `ended_by` the rule or scheduler that ended it early.
    Of a trial that failed, `cause` is what kind of failure it was, `node` where it ran, and `stderr` the end of that.
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
    """What an earlier run of the study came to. `configs` has every trial that was made, in order.

    `results` are the reports: trial, number, metrics. `ended`: the study came to its end, by the rule `ended_by` where
    one ended it early. `used_s` are the seconds that it ran.
    """

    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, TrialOutcome] = field(default_factory=dict)
    models: dict[str, TrialModel] = field(default_factory=dict)
    results: tuple[tuple[str, int, Mapping[str, Any]], ...] = ()
    ended: bool = False
    ended_by: str = ""
    used_s: float = 0.0

    def resumable_trials(self, *, failed: bool = False) -> list[str]:
        """The trials that were cut off or lost, in order; with `failed`, those that failed by themselves too."""
        return [trial_id for trial_id in self.configs if not self._is_over(trial_id, failed)]

    def _is_over(self, trial_id: str, failed: bool) -> bool:
        outcome = self.outcomes.get(trial_id)
        if outcome is None or outcome.ended_by == INTERRUPTED:
            return False
        return not (outcome.cause in LOST_CAUSES or (failed and outcome.status == "ERROR"))
