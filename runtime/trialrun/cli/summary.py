"""The end of a run in a few aligned lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialrun.cli import text
from trialrun_hookspecs.results import JobResult, TrialFailure

__all__ = ["summary", "trial_failures"]

_MOST = 20
_LONG = 300
_INDENT = 11


def summary(result: JobResult, *, name: str, elapsed: float, trials: int, metric: str | None) -> list[str]:
    """What came of the job: the winner, models, failures, warnings, and where to look."""
    failed = _failed(result)
    lines = [f"{text.cut(text.clean(name), 60)}: {result.status.lower()} in {text.duration(elapsed)}", ""]
    if result.best_trial is not None:
        lines += _field("best trial", [result.best_trial.trial_id])
        lines += _field("", _pairs(_objective_first(result.best_trial.metrics, metric)))
        lines += _field("with", _pairs(result.best_trial.config))
    lines += _field("model", [_model(result)])
    if trials:
        count = f"{trials - len(failed)} ended well, {len(failed)} failed" if failed else "all ended well"
        lines += _field("trials", [f"{trials}, {count}"])
    if result.ended_by:
        lines += _field("ended by", [text.clean(result.ended_by)])
    lines += trial_failures(result)
    lines += _field("no model", [_reason(failure) for failure in result.failures if failure.status != "ERROR"])
    lines += _field("warnings", [text.cut(text.clean(warning), _LONG) for warning in result.warnings])
    lines += _field("results", [text.clean(result.results_dir)])
    recording = Path(result.results_dir) / "recorder.sqlite"
    if recording.exists():
        lines += _field("recording", [text.clean(recording)])
    return lines


def trial_failures(result: JobResult) -> list[str]:
    """The trials that failed, each with its reason in one line; nothing when none did."""
    reasons = [_reason(failure) for failure in _failed(result)]
    if not reasons:
        return []
    folder = Path(result.results_dir) / "trials"
    return [*_field("failed", reasons), *_field("", [f"what they wrote is in {text.clean(folder)}"])]


def _failed(result: JobResult) -> list[TrialFailure]:
    return [failure for failure in result.failures if failure.status == "ERROR"]


def _reason(failure: TrialFailure) -> str:
    return f"{text.clean(failure.trial_id)}  {text.cut(text.clean(failure.error), _LONG)}"


def _model(result: JobResult) -> str:
    if result.model_id is None:
        return "none"
    count = len(result.trial_models)
    return f"{result.model_id} (one of {count})" if count > 1 else str(result.model_id)


def _objective_first(metrics: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    own = {key: cell for key, cell in metrics.items() if isinstance(cell, int | float | str)}
    return {**({metric: own[metric]} if metric in own else {}), **own}


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """`a=1 b=2` on as many lines as it takes."""
    lines = [""]
    for key, cell in values.items():
        pair = f"{text.cut(text.clean(key), 40)}={text.value(cell, 40)}"
        if lines[-1] and len(lines[-1]) + len(pair) > 90:
            lines.append("")
        lines[-1] += f"  {pair}" if lines[-1] else pair
    return [line for line in lines if line]


def _field(label: str, values: list[str]) -> list[str]:
    """Labelled lines; the label stands beside the first."""
    shown = values[:_MOST]
    if len(values) > len(shown):
        shown.append(f"… and {len(values) - len(shown)} more, in result.json")
    return [f"{label if index == 0 else '':<{_INDENT}}{value}".rstrip() for index, value in enumerate(shown)]
