"""The numbers behind the plots: which trials have a curve, their points, and the importance of hyperparameters."""

from __future__ import annotations

from typing import Any

from trialrun.numbers import is_number
from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.importance import METHOD, MIN_TRIALS, estimate_importance
from trialrun.recordings.rows import trial_values
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow

__all__ = ["collect_curves", "rank_trials", "study_importance"]

LINE_POINTS = 200
NEWEST = 10


def rank_trials(study: Study, trials: list[TrialRow]) -> list[str]:
    """Trials in the order in which their curves matter: the ten newest and the best ones in turn, then the others."""
    metric, mode = study.get_objective()
    sign = 1.0 if mode == "min" else -1.0
    judged = [
        (sign * value, trial.number, trial.trial)
        for trial in trials
        if (value := _objective_value(trial, metric)) is not None
    ]
    newest = [trial.trial for trial in sorted(trials, key=lambda trial: -trial.number)]
    best = [name for _, _, name in sorted(judged)]
    return list(dict.fromkeys([*best[:50], *newest[:NEWEST], *best[50:], *newest]))


def _objective_value(trial: TrialRow, metric: str | None) -> float | None:
    value = trial.metrics.get(metric) if metric else None
    return float(value) if is_number(value) and value == value else None


def collect_curves(
    study: Study, trials: list[str], series: list[dict[str, str]], points: int
) -> tuple[dict[str, list[Any]], int]:
    """For each series the lines `[trial, {count, steps, times, values}]`, and of how many trials there are some."""
    found: dict[str, list[Any]] = {f"{one['event']}:{one['name']}": [] for one in series}
    left = points
    kept = 0
    for trial in [None, *trials]:
        if left <= 0:
            break
        for one in series:
            line = study.recording.curves.load_line(study.job, trial, one["event"], one["name"])
            if not line.values:
                continue
            places = downsample_indices(line.values, LINE_POINTS)
            left -= len(places)
            drawn = {
                "count": len(line.values),
                "steps": [_round_number(line.steps[place], 9) for place in places],
                "times": [round(line.times[place] - line.times[0], 3) for place in places],
                "values": [_round_number(line.values[place], 6) for place in places],
            }
            found[f"{one['event']}:{one['name']}"].append([trial, drawn])
        kept += trial is not None
    return found, kept


def _round_number(number: float, digits: int) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.{digits}g}")


def study_importance(study: Study, trials: list[TrialRow]) -> dict[str, Any]:
    """The estimate that the page shows, of the trials that have ended well."""
    metric, _ = study.get_objective()
    points = [
        (trial_values(trial)[0], value)
        for trial in trials
        if trial.status == "TERMINATED" and (value := _objective_value(trial, metric)) is not None
    ]
    names = study.recording.get_trial_index(study.job).columns["hyperparameters"]
    return {
        "method": METHOD,
        "metric": metric,
        "trials": len(points),
        "least": MIN_TRIALS,
        "shares": [list(pair) for pair in estimate_importance(points, names).items()],
    }
