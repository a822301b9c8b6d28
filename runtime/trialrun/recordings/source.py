"""A study: one job of a recording, found by path and job id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.outcomes import Mode, find_best_trial
from trialrun.recorder.jobs import describe_job
from trialrun.recordings.jobs import parse_objective, read_best_trial, read_job_error
from trialrun.recordings.library import OpenRecording
from trialrun.recordings.trial_index import TrialRow
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["FINAL_STATUSES", "Study", "find_recording", "open_study"]

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_FIX = f"Name the results folder of a run, or a {layout.RECORDING} file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One job of a recording that is open for reading; `path` is the file of the recording."""

    path: Path
    recording: OpenRecording
    job: int

    @property
    def folder(self) -> Path:
        """The folder of the recording: the results folder of the run."""
        return self.path.parent

    def read_job_facts(self) -> dict[str, Any]:
        """Return the job as it is now: name, status, params, progress, result and other fields that were sent."""
        row = self.recording.store.fetch_one("SELECT * FROM jobs WHERE id = ?", (self.job,))
        if row is None:
            raise UsageError("must hold the job", where=str(self.path), got=f"job {self.job} is missing", fix=_FIX)
        return describe_job(row)

    @property
    def name(self) -> str:
        return str(self.read_job_facts()["name"] or f"job {self.job}")

    def get_objective(self) -> tuple[str | None, Mode]:
        """Return the metric that the job optimizes, None when it has none, and the mode."""
        metric, mode = parse_objective(self.read_job_facts()["params"])
        return metric, "min" if mode == "min" else "max"

    def list_trials(self) -> list[TrialRow]:
        """Return the newest row of each trial, in the order in which they first appeared."""
        index = self.recording.get_trial_index(self.job)
        index.refresh()
        return index.all_trials()

    def find_best_id(self, trials: list[TrialRow] | None = None) -> str | None:
        """Return the id of the registered best trial, else of the best so far by the objective, or None."""
        metric, mode = self.get_objective()
        registered = read_best_trial(self.recording.store, self.job)
        if registered is not None or metric is None:
            return registered
        rows = self.list_trials() if trials is None else trials
        return find_best_trial(((trial.trial, trial.status or "", trial.metrics) for trial in rows), metric, mode)

    def list_failures(self) -> list[dict[str, Any]]:
        """Return the newest failure of each trial that failed: trial_id, error, cause, traceback, node, stderr."""
        rows = self.recording.store.fetch_all(
            "SELECT data FROM entries WHERE event = 'failure' AND job = ? ORDER BY id", (self.job,)
        )
        failures = [json.loads(row["data"]) for row in rows]
        return list({str(data.get("trial_id")): data for data in failures if isinstance(data, dict)}.values())

    def read_error(self) -> str | None:
        """Return the error of the job's last status, or None."""
        return read_job_error(self.recording.store, self.job)

    def read_result(self) -> dict[str, Any] | None:
        """Return the result of the job as JSON: of result.json beside the recording, else what the client sent."""
        try:
            result = json.loads((self.folder / layout.RESULT).read_bytes())
        except (OSError, ValueError, RecursionError):
            result = None
        if not isinstance(result, dict) or result.get("job_id") not in (None, self.job):
            result = self.read_job_facts()["result"]
        return result if isinstance(result, dict) else None


def find_recording(path: str | Path) -> Path:
    """Return the recording at `path`: a file, or a results folder. Raises UsageError: there is none."""
    path = Path(path)
    file = path / layout.RECORDING if path.is_dir() else path
    if not file.is_file():
        got = f"a folder without {layout.RECORDING}" if path.is_dir() else "no such file"
        raise UsageError("must be a recording", where=str(path), got=got, fix=_FIX)
    return file


@contextmanager
def open_study(path: str | Path, job: int | None = None) -> Iterator[Study]:
    """Open the study at `path` read-only, also while it runs; `job` None means the newest of the recording.

    Raises UsageError: there is no recording, it is empty, or it has no such job.
    """
    file = find_recording(path)
    recording = OpenRecording(file)
    try:
        known = [int(row["id"]) for row in recording.store.fetch_all("SELECT id FROM jobs ORDER BY created, id")]
        if not known:
            fix = "Wait until its job has begun, or name another recording."
            raise UsageError("must hold a job", where=str(file), got="an empty recording", fix=fix)
        if job is not None and job not in known:
            fix = f"Choose one of: {', '.join(map(str, known[-20:]))}."
            raise UsageError("must be a job of the recording", where="--job", got=str(job), fix=fix)
        yield Study(path=file, recording=recording, job=known[-1] if job is None else job)
    finally:
        recording.close()
