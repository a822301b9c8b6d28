"""The numbers behind the plots: which trials have a curve, their points, and the importance of hyperparameters."""

from __future__ import annotations

from typing import Any

from trialrun.outcomes import objective_value
from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.importance import METHOD, MIN_TRIALS, estimate_importance
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow

__all__ = ["collect_curves", "rank_trials", "read_objective", "study_importance"]

LINE_POINTS = 200
NEWEST = 10


def read_objective(trial: TrialRow, metric: str | None) -> float | None:
    """Return the trial's value of `metric` when it is a finite number, else None."""
    value = objective_value(trial.metrics, metric) if metric else None
    try:
        return None if value is None else float(value)
    except OverflowError:  # an integer that no float holds
        return None


def rank_trials(study: Study, trials: list[TrialRow]) -> list[str]:
    """Return trial ids by how much their curves matter: the 50 best, the ten newest, then the others."""
    metric, mode = study.get_objective()
    sign = 1.0 if mode == "min" else -1.0
    judged = [
        (sign * value, trial.number, trial.trial)
        for trial in trials
        if (value := read_objective(trial, metric)) is not None
    ]
    newest = [trial.trial for trial in sorted(trials, key=lambda trial: -trial.number)]
    best = [name for _, _, name in sorted(judged)]
    return list(dict.fromkeys([*best[:50], *newest[:NEWEST], *best[50:], *newest]))


def collect_curves(
    study: Study, trials: list[str], series: list[dict[str, str]], points: int
) -> tuple[dict[str, list[Any]], int]:
    """Return the lines `[trial, {count, steps, times, values}]` of each series, and how many trials have some.

    At most about `points` points are in them, of the first trials.
    """
    curves: dict[str, list[Any]] = {f"{one['event']}:{one['name']}": [] for one in series}
    room = points
    shown = 0
    for trial in [None, *trials]:
        if room <= 0:
            break
        for one in series:
            line = study.recording.curves.load_line(study.job, trial, one["event"], one["name"])
            if not line.values:
                continue
            places = downsample_indices(line.values, LINE_POINTS)
            room -= len(places)
            thinned = {
                "count": len(line.values),
                "steps": [_round_number(line.steps[place], 9) for place in places],
                "times": [round(line.times[place] - line.times[0], 3) for place in places],
                "values": [_round_number(line.values[place], 6) for place in places],
            }
            curves[f"{one['event']}:{one['name']}"].append([trial, thinned])
        shown += trial is not None
    return curves, shown


def _round_number(number: float, digits: int) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.{digits}g}")


def study_importance(study: Study, trials: list[TrialRow], metric: str | None = None) -> dict[str, Any]:
    """Return the importance of hyperparameters for `metric` (None: the objective), from the trials that succeeded."""
    metric = metric or study.get_objective()[0]
    points = [
        (trial.hyperparameters, value)
        for trial in trials
        if trial.status == "TERMINATED" and (value := read_objective(trial, metric)) is not None
    ]
    names = study.recording.get_trial_index(study.job).columns["hyperparameters"]
    return {
        "method": METHOD,
        "metric": metric,
        "trials": len(points),
        "least": MIN_TRIALS,
        "shares": [list(pair) for pair in estimate_importance(points, names).items()],
    }
