"""The end of a run in a few aligned lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialrun.cli import text
from trialrun.run_dir import layout
from trialrun_hookspecs.results import JobResult, TrialFailure

__all__ = ["format_summary", "format_trial_failures"]

_MOST = 20
_LONG = 300
_INDENT = 11


def format_summary(result: JobResult, *, name: str, elapsed: float, trials: int, metric: str | None) -> list[str]:
    """What came of the job: the winner, models, failures, warnings, and where to look."""
    failed = _select_failed_trials(result)
    lines = [f"{text.truncate(text.clean(name), 60)}: {result.status.lower()} in {text.format_duration(elapsed)}", ""]
    if result.best_trial is not None:
        lines += _format_field("best trial", [result.best_trial.trial_id])
        lines += _format_field("", _format_pairs(_objective_first(result.best_trial.metrics, metric)))
        lines += _format_field("with", _format_pairs(result.best_trial.config))
    lines += _format_field("model", [_format_model(result)])
    if trials:
        count = f"{trials - len(failed)} ended well, {len(failed)} failed" if failed else "all ended well"
        lines += _format_field("trials", [f"{trials}, {count}"])
    if result.ended_by:
        lines += _format_field("ended by", [text.clean(result.ended_by)])
    lines += format_trial_failures(result)
    lines += _format_field(
        "no model", [_format_reason(failure) for failure in result.failures if failure.status != "ERROR"]
    )
    lines += _format_field("warnings", [text.truncate(text.clean(warning), _LONG) for warning in result.warnings])
    lines += _format_field("results", [text.clean(result.results_dir)])
    recording = Path(result.results_dir) / layout.RECORDING
    if recording.exists():
        lines += _format_field("recording", [text.clean(recording)])
    return lines


def format_trial_failures(result: JobResult) -> list[str]:
    """The trials that failed, each with its reason in one line; nothing when none did."""
    reasons = [_format_reason(failure) for failure in _select_failed_trials(result)]
    if not reasons:
        return []
    folder = Path(result.results_dir) / layout.TRIALS_DIR
    return [*_format_field("failed", reasons), *_format_field("", [f"what they wrote is in {text.clean(folder)}"])]


def _select_failed_trials(result: JobResult) -> list[TrialFailure]:
    return [failure for failure in result.failures if failure.status == "ERROR"]


def _format_reason(failure: TrialFailure) -> str:
    return f"{text.clean(failure.trial_id)}  {text.truncate(text.clean(failure.error), _LONG)}"


def _format_model(result: JobResult) -> str:
    if result.model_id is None:
        return "none"
    count = len(result.trial_models)
    return f"{result.model_id} (one of {count})" if count > 1 else str(result.model_id)


def _objective_first(metrics: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    own = {key: cell for key, cell in metrics.items() if isinstance(cell, int | float | str)}
    return {**({metric: own[metric]} if metric in own else {}), **own}


def _format_pairs(values: Mapping[str, Any]) -> list[str]:
    """`a=1 b=2` on as many lines as it takes."""
    lines = [""]
    for key, cell in values.items():
        pair = f"{text.truncate(text.clean(key), 40)}={text.format_value(cell, 40)}"
        if lines[-1] and len(lines[-1]) + len(pair) > 90:
            lines.append("")
        lines[-1] += f"  {pair}" if lines[-1] else pair
    return [line for line in lines if line]


def _format_field(label: str, values: list[str]) -> list[str]:
    """Labelled lines; the label stands beside the first."""
    shown = values[:_MOST]
    if len(values) > len(shown):
        shown.append(f"… and {len(values) - len(shown)} more, in {layout.RESULT}")
    return [f"{label if index == 0 else '':<{_INDENT}}{value}".rstrip() for index, value in enumerate(shown)]
