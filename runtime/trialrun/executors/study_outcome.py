"""The outcome of a study: its trials, the rule that ended it early, warnings, and the last output of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trialrun.executors.base import Study, StudyOutcome
from trialrun.executors.stop_rules import StopRules
from trialrun.run_dir.history import TrialOutcome
from trialrun.run_dir.layout import OUTPUT_FILES

__all__ = ["build_study_outcome", "read_stderr_tail"]

_TAIL = 2000  # bytes
_REPORT = 200_000


def read_stderr_tail(folder: Path, files: tuple[str, str] | None = OUTPUT_FILES, *, whole: bool = False) -> str:
    """Return the end of a trial's stderr, from the beginning of a line if possible; empty if there is none.

    `files` are the names of the files of stdout and stderr, None if output is not kept. With `whole`, the text is long
    enough to contain a crash report of every thread.
    """
    limit = _REPORT if whole else _TAIL
    if files is None:
        return ""
    try:
        with (folder / files[1]).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - limit, 0))
            content = file.read().decode(errors="replace")
    except OSError:
        return ""
    _, _, rest = content.partition("\n")
    return rest if size > limit and rest else content


def build_study_outcome(study: Study, trials: Sequence[TrialOutcome], rules: StopRules) -> StudyOutcome:
    """Return all trials, with the rule that ended the study early, if one did, and warnings."""
    ended_by = rules.ended_by
    failed = next((trial for trial in trials if trial.error), None)
    if not ended_by and failed is not None and study.tune_config.fail_fast:
        ended_by = f"fail_fast: trial {failed.trial_id} failed"
    warnings = [
        f"tune_config.stop: no trial reported {name!r}, so that rule had no effect" for name in rules.missing_metrics
    ]
    return StudyOutcome(
        trials=tuple(trials),
        ended_by=ended_by,
        interrupted=rules.interrupted.is_set(),
        warnings=tuple(warnings) if trials else (),
    )
