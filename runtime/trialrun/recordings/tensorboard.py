"""A study as TensorBoard runs: one folder for each trial, its curves and its hyperparameters."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from trialrun.names import file_name
from trialrun.numbers import is_number
from trialrun.recordings.rows import Point, read_trial_points, trial_values
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import TrialRow
from trialrun_hookspecs.errors import UsageError

__all__ = ["run_names", "write_runs"]

JOB = "job"
_SOURCES = {"trial_result": "reported/", "metric": "logged/"}


def write_runs(study: Study, folder: Path) -> list[Path]:
    """One event file for each trial, and one for what the job itself logged; the same study gives the same names."""
    try:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.summary import hparams
    except ImportError as error:
        fix = "Install the extra: pip install 'trialrun[tensorboard]'."
        raise UsageError("tensorboard needs tensorboardX", where="--format", got=str(error), fix=fix) from None

    def write_run(name: str, found: list[Point], trial: TrialRow | None) -> Path:
        began = _to_timestamp(found[0].time if found else _start_time(trial))
        path = folder / name / f"events.out.tfevents.{int(began)}.trialrun"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        writer = RecordWriter(str(path))
        writer.write(Record(wall_time=began, file_version="brain.Event:2").SerializeToString())
        if trial is not None:
            for summary in hparams(_simplify_values(trial_values(trial)[0]), _simplify_values(trial_values(trial)[1])):
                writer.write(Record(wall_time=began, summary=summary).SerializeToString())
        counts: Counter[str] = Counter()
        for point in found:
            tag = _SOURCES[point.source] + point.name
            counts[tag] += 1
            step = counts[tag] if point.step is None else int(max(min(point.step, 2**62), -(2**62)))
            summary = {"value": [{"tag": tag, "simple_value": _to_float(point.value)}]}
            record = Record(wall_time=_to_timestamp(point.time), step=step, summary=summary)
            writer.write(record.SerializeToString())
        writer.close()
        return path

    trials = study.list_trials()
    made = [
        write_run(name, list(read_trial_points(study, trial.trial)), trial)
        for name, trial in zip(run_names(trials), trials, strict=True)
    ]
    own = list(read_trial_points(study, None))
    return [*made, *([write_run(JOB, own, None)] if own or not made else [])]


def run_names(trials: list[TrialRow]) -> list[str]:
    """A folder name for each trial, safe wherever it lands, and different also where letter case does not count."""
    taken = {JOB}
    names = []
    for trial in trials:
        name = base = file_name(trial.trial)
        if base.casefold() in taken:
            name = f"{base}~{trial.number}"  # no file name holds a `~` followed by digits alone unless it was cut
        taken.add(name.casefold())
        names.append(name)
    return names


def _start_time(trial: TrialRow | None) -> str:
    return "" if trial is None else trial.started or trial.updated


def _simplify_values(values: dict[str, Any]) -> dict[str, Any]:
    """What the plugin for hyperparameters takes; anything else as text."""
    return {
        name: (_to_float(cell) if is_number(cell) else cell)
        if isinstance(cell, bool | int | float | str)
        else str(cell)
        for name, cell in values.items()
    }


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _to_timestamp(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0
