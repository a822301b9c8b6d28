"""The summary at the end of a run, as aligned lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialrun.cli import text
from trialrun.run_dir import layout
from trialrun_hookspecs.results import JobResult, TrialFailure

__all__ = ["format_summary", "format_trial_failures"]

_MAX_LINES = 20


def format_summary(result: JobResult, *, name: str, elapsed: float, trials: int, metric: str | None) -> list[str]:
    """Return the lines: the best trial, models, failures, warnings, and where the results are.

    `elapsed` is in seconds; `trials` is the number of trials, 0 for a training job.
    """
    failed = _select_failed_trials(result)
    lines = [f"{text.format_name(name)}: {result.status.lower()} in {text.format_duration(elapsed)}", ""]
    if result.best_trial is not None:
        lines += text.format_field("best trial", [result.best_trial.trial_id])
        lines += text.format_field("", text.wrap_pairs(_objective_first(result.best_trial.metrics, metric)))
        lines += text.format_field("with", text.wrap_pairs(result.best_trial.config))
    lines += text.format_field("model", [_format_model(result)])
    if trials:
        count = f"{trials - len(failed)} succeeded, {len(failed)} failed" if failed else "all succeeded"
        lines += text.format_field("trials", [f"{trials}, {count}"])
    if result.ended_by:
        lines += text.format_field("ended by", [text.clean(result.ended_by)])
    lines += format_trial_failures(result)
    without_model = [_format_reason(failure) for failure in result.failures if failure.status != "ERROR"]
    lines += _format_long_field("no model", without_model)
    lines += _format_long_field("warnings", [text.format_message(warning) for warning in result.warnings])
    lines += text.format_field("results", [text.clean(result.results_dir)])
    recording = Path(result.results_dir) / layout.RECORDING
    if recording.exists():
        lines += text.format_field("recording", [text.clean(recording)])
    return lines


def format_trial_failures(result: JobResult) -> list[str]:
    """Return the failed trials, each with its reason on one line; nothing when none failed."""
    reasons = [_format_reason(failure) for failure in _select_failed_trials(result)]
    if not reasons:
        return []
    folder = Path(result.results_dir) / layout.TRIALS_DIR
    return [
        *_format_long_field("failed", reasons),
        *text.format_field("", [f"the output of the trials is in {text.clean(folder)}"]),
    ]


def _select_failed_trials(result: JobResult) -> list[TrialFailure]:
    return [failure for failure in result.failures if failure.status == "ERROR"]


def _format_reason(failure: TrialFailure) -> str:
    return f"{text.clean(failure.trial_id)}  {text.format_message(failure.error)}"


def _format_model(result: JobResult) -> str:
    if result.model_id is None:
        return "none"
    count = len(result.trial_models)
    return f"{result.model_id} (one of {count})" if count > 1 else str(result.model_id)


def _objective_first(metrics: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    plain = {name: value for name, value in metrics.items() if isinstance(value, int | float | str)}
    return {**({metric: plain[metric]} if metric in plain else {}), **plain}


def _format_long_field(label: str, values: list[str]) -> list[str]:
    """Return the field with at most `_MAX_LINES` values and the number of the others."""
    omitted = text.format_omitted(len(values) - _MAX_LINES, f", in {layout.RESULT}")
    return text.format_field(label, [*values[:_MAX_LINES], *omitted])
