"""A study as TensorBoard runs: one folder for each trial, with its curves and its hyperparameters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from trialrun.names import file_name
from trialrun.recordings.points import Point, to_timestamp
from trialrun.recordings.rows import read_trial_points, trial_values
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow
from trialrun.run_dir.tensorboard import EventFile
from trialrun_hookspecs.errors import UsageError

__all__ = ["run_names", "write_runs"]

JOB = "job"
_SOURCES = {"trial_result": "reported/", "metric": "logged/"}


def write_runs(study: Study, folder: Path) -> list[Path]:
    """Write an event file for each trial and one for the metrics of the job itself, and return their paths.

    The same study gives the same names. Raises UsageError: tensorboardX is missing.
    """
    trials = study.list_trials()
    try:
        paths = [
            _write_run(folder / name, list(read_trial_points(study, trial.trial)), trial)
            for name, trial in zip(run_names(trials), trials, strict=True)
        ]
        own = list(read_trial_points(study, None))
        return [*paths, *([_write_run(folder / JOB, own, None)] if own or not paths else [])]
    except ImportError as error:
        fix = "Install the extra: pip install 'trialrun[tensorboard]'."
        raise UsageError("tensorboard needs tensorboardX", where="--format", got=str(error), fix=fix) from None


def _write_run(folder: Path, points: list[Point], trial: TrialRow | None) -> Path:
    first = points[0].time if points else "" if trial is None else trial.started or trial.updated
    started = to_timestamp(first) if first else 0.0
    path = folder / f"events.out.tfevents.{int(started)}.trialrun"
    file = EventFile(path, started)
    if trial is not None:
        file.add_hyperparameters(*trial_values(trial), started)
    counts: Counter[str] = Counter()
    for point in points:
        tag = _SOURCES[point.source] + point.name
        counts[tag] += 1
        step = counts[tag] if point.step is None else point.step
        file.add_scalar(tag, point.value, step, to_timestamp(point.time))
    file.close()
    return path


def run_names(trials: list[TrialRow]) -> list[str]:
    """Return a folder name for each trial: safe on every file system, distinct also where letter case is ignored."""
    taken = {JOB}
    names = []
    for trial in trials:
        name = base = file_name(trial.trial)
        if base.casefold() in taken:
            name = f"{base}~{trial.number}"  # `file_name` puts no `~` before digits alone unless it shortens a name
        taken.add(name.casefold())
        names.append(name)
    return names
