"""How long a trial took in an earlier run of the same job, read from its recording."""

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
    """The mean seconds of a trial in the newest run below `root` that has ended trials, and that run's name."""
    for folder in _list_runs(root, file_name(request.params.name)):
        seconds = compute_durations(_read_entries(folder / layout.RECORDING))
        if seconds:
            return statistics.mean(seconds), folder.name
    return None


def compute_durations(entries: Iterable[Mapping[str, Any]]) -> list[float]:
    """Seconds from the first sight of each trial to its normal end; those with an error say nothing."""
    seen: dict[str, datetime] = {}
    ended: dict[str, float] = {}
    for entry in entries:
        time = datetime.fromisoformat(entry["time"])
        for trial_id, row in entry["data"]["trials"].items():
            status = dict(zip(entry["data"]["base"], row["base"], strict=False)).get("status")
            if status != "PENDING":
                seen.setdefault(trial_id, time)
            if status == "TERMINATED" and trial_id not in ended:
                ended[trial_id] = (time - seen[trial_id]).total_seconds()
    return list(ended.values())


def _list_runs(root: Path, name: str) -> list[Path]:
    if not root.is_dir():
        return []
    found = [(folder.name.rpartition("-"), folder) for folder in root.iterdir()]
    runs = [(int(end), folder) for (start, _, end), folder in found if start == name and end.isdecimal()]
    return [folder for _, folder in sorted(runs, reverse=True)]


def _read_entries(path: Path) -> list[dict[str, Any]]:
    from trialrun.recorder import Recorder

    if not path.is_file():
        return []
    try:
        with Recorder.open(path) as recorder:
            return recorder.events("trials_delta")
    except TrialrunError:  # another version's, or none at all: then there is no estimate
        return []
