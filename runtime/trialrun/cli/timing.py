"""The time that a trial took in an earlier run of the same job, read from its recording."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from trialrun.names import file_name
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import TrialrunError
from trialrun_hookspecs.request import Request

__all__ = ["compute_durations", "estimate_trial_time"]


def estimate_trial_time(root: Path, request: Request) -> tuple[float, str] | None:
    """Return the mean seconds of a trial in the newest run below `root` that has ended trials, and that run's name."""
    for folder in _list_runs(root, file_name(request.params.name)):
        seconds = compute_durations(_read_entries(folder / layout.RECORDING))
        if seconds:
            return statistics.mean(seconds), folder.name
    return None


def compute_durations(entries: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return the seconds from each trial's first entry to its normal end; trials with an error are left out."""
    started: dict[str, datetime] = {}
    ended: dict[str, float] = {}
    for entry in entries:
        time = datetime.fromisoformat(entry["time"])
        for trial_id, row in entry["data"]["trials"].items():
            status = dict(zip(entry["data"]["base"], row["base"], strict=False)).get("status")
            if status != "PENDING":
                started.setdefault(trial_id, time)
            if status == "TERMINATED" and trial_id not in ended:
                ended[trial_id] = (time - started[trial_id]).total_seconds()
    return list(ended.values())


def _list_runs(root: Path, name: str) -> list[Path]:
    if not root.is_dir():
        return []
    folders = [(folder.name.rpartition("-"), folder) for folder in root.iterdir()]
    runs = [(int(end), folder) for (start, _, end), folder in folders if start == name and end.isdecimal()]
    return [folder for _, folder in sorted(runs, reverse=True)]


def _read_entries(path: Path) -> list[dict[str, Any]]:
    from trialrun.recorder import Recorder

    if not path.is_file():
        return []
    try:
        with Recorder.open(path) as recorder:
            return recorder.events("trials_delta")
    except TrialrunError:  # of another version, or not a recording: there is no estimate
        return []
