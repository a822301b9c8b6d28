"""A recorded run as JSON, for `trialrun show --json`. The keys are documented and stay."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from trialrun.cli.study_text import TableOptions, select_trials
from trialrun.events import to_plain

if TYPE_CHECKING:
    from trialrun.recordings import Study
    from trialrun.recordings.state import RunState
    from trialrun.recordings.trial_index import TrialRow

__all__ = ["state_to_json", "study_to_json"]

_FAILURE_KEYS = ("trial_id", "cause", "error", "traceback", "node", "stderr")


def state_to_json(state: RunState) -> dict[str, Any]:
    """Return the state as JSON, NaN and infinities as null; `trials` counts the trials by status."""
    facts = {
        "name": state.name,
        "job_id": state.job_id,
        "status": state.status,
        "progress": state.progress,
        "left_s": state.left_s,
        "phases": state.phases,
        "trials": state.trials,
        "metric": state.metric,
        "best": state.best,
        "started": state.started,
        "heard": state.heard,
        "running": state.running,
        "error": state.error,
        "over": state.is_over,
        "cut_off": state.is_interrupted,
    }
    return _to_json(facts)


def study_to_json(study: Study, options: TableOptions, now: datetime) -> dict[str, Any]:
    """Return the keys of `state_to_json`, then `model_id`, `ended_by`, `warnings`, `rows` and `failures`.

    `best` has its `config` too. `rows` are the trials in the order of the table, NaN and infinities as null.
    Raises UsageError: `options.sort` is not a column.
    """
    from trialrun.recordings.state import read_state

    facts = state_to_json(read_state(study, now))
    trials = study.list_trials()
    result = study.read_result() or {}
    warnings = result.get("warnings")
    if facts["best"] is not None:
        best = next(trial for trial in trials if trial.trial == facts["best"]["trial_id"])
        facts["best"]["config"] = _to_json(_trial_to_json(best)["config"])
    more = {
        "model_id": result.get("model_id"),
        "ended_by": result.get("ended_by") or None,
        "warnings": warnings if isinstance(warnings, list) else [],
        "rows": [_trial_to_json(trial) for trial in select_trials(study, trials, options).rows],
        "failures": [
            {key: failure.get(key) for key in _FAILURE_KEYS}
            for failure in study.list_failures()[: options.limit or None]
        ],
    }
    return {**facts, **_to_json(more)}


def _trial_to_json(trial: TrialRow) -> dict[str, Any]:
    from trialrun.recordings.rows import trial_values

    config, metrics = trial_values(trial)
    return {
        "trial_id": trial.trial,
        "number": trial.number,
        "status": trial.status,
        "started": trial.started,
        "ended": trial.ended,
        "iteration": trial.iteration,
        "config": config,
        "metrics": metrics,
    }


def _to_json(facts: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(facts, nonfinite="null")
    return plain
