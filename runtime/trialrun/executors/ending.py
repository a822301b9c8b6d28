"""How a study ended: the rule that ended it early, and what its rules never saw."""

from __future__ import annotations

from collections.abc import Sequence

from trialrun.executors.base import Study, StudyOutcome, TrialOutcome
from trialrun.executors.rules import StopRules

__all__ = ["study_outcome"]


def study_outcome(study: Study, trials: Sequence[TrialOutcome], rules: StopRules) -> StudyOutcome:
    """All trials, with the rule that ended the study early, if one did."""
    ended_by = rules.ended_by
    failed = next((trial for trial in trials if trial.error), None)
    if not ended_by and failed is not None and study.tune_config.fail_fast:
        ended_by = f"fail_fast: trial {failed.trial_id} failed"
    warnings = [
        f"tune_config.stop: no trial reported {name!r}, so that rule did nothing" for name in rules.never_reported
    ]
    return StudyOutcome(
        trials=tuple(trials),
        ended_by=ended_by,
        interrupted=rules.interrupted.is_set(),
        warnings=tuple(warnings) if trials else (),
    )
