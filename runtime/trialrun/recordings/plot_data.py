"""The numbers behind the plots: which trials have a curve, their points, and the importance of hyperparameters."""

from __future__ import annotations

from typing import Any

from trialrun.recordings.curves import thinned
from trialrun.recordings.importance import LEAST, METHOD, shares
from trialrun.recordings.rows import values_of
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import Trial

__all__ = ["curves_of", "importance_of", "ranked"]

LINE_POINTS = 200
NEWEST = 10


def ranked(study: Study, trials: list[Trial]) -> list[str]:
    """Trials in the order in which their curves matter: the ten newest and the best ones in turn, then the others."""
    metric, mode = study.objective()
    sign = 1.0 if mode == "min" else -1.0
    judged = [
        (sign * value, trial.number, trial.trial) for trial in trials if (value := _number(trial, metric)) is not None
    ]
    newest = [trial.trial for trial in sorted(trials, key=lambda trial: -trial.number)]
    best = [name for _, _, name in sorted(judged)]
    return list(dict.fromkeys([*best[:50], *newest[:NEWEST], *best[50:], *newest]))


def _number(trial: Trial, metric: str | None) -> float | None:
    value = trial.metrics.get(metric) if metric else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None


def curves_of(
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
            line = study.reading.curves.line(study.job, trial, one["event"], one["name"])
            if not line.values:
                continue
            places = thinned(line.values, LINE_POINTS)
            left -= len(places)
            drawn = {
                "count": len(line.values),
                "steps": [_short(line.steps[place], 9) for place in places],
                "times": [round(line.times[place] - line.times[0], 3) for place in places],
                "values": [_short(line.values[place], 6) for place in places],
            }
            found[f"{one['event']}:{one['name']}"].append([trial, drawn])
        kept += trial is not None
    return found, kept


def _short(number: float, digits: int) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.{digits}g}")


def importance_of(study: Study, trials: list[Trial]) -> dict[str, Any]:
    """The estimate that the page shows, of the trials that have ended well."""
    metric, _ = study.objective()
    points = [
        (values_of(trial)[0], value)
        for trial in trials
        if trial.status == "TERMINATED" and (value := _number(trial, metric)) is not None
    ]
    names = study.reading.board(study.job).columns["hyperparameters"]
    return {
        "method": METHOD,
        "metric": metric,
        "trials": len(points),
        "least": LEAST,
        "shares": [list(pair) for pair in shares(points, names).items()],
    }
