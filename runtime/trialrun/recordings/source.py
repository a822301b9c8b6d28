"""The study of a recording: which file a path means, which job of it, and what is known of that job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.outcomes import Mode, find_best_trial
from trialrun.recorder.jobs import describe_job
from trialrun.recordings.jobs import parse_objective, read_best_trial
from trialrun.recordings.library import OpenRecording
from trialrun.recordings.trial_index import TrialRow
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["FINAL_STATUSES", "Study", "find_recording", "open_study"]

FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_FIX = f"Name the results folder of a run, or a {layout.RECORDING} file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One job of a recording that is open for reading; `path` is the recording's file."""

    path: Path
    recording: OpenRecording
    job: int

    @property
    def folder(self) -> Path:
        """Where the recording lies: the results folder of the run."""
        return self.path.parent

    def read_job_facts(self) -> dict[str, Any]:
        """The job as it stands now: name, status, params, progress, result and what else was sent."""
        row = self.recording.store.fetch_one("SELECT * FROM jobs WHERE id = ?", (self.job,))
        if row is None:
            raise UsageError("must hold the job", where=str(self.path), got=f"no job {self.job} any more", fix=_FIX)
        return describe_job(row)

    @property
    def name(self) -> str:
        return str(self.read_job_facts()["name"] or f"job {self.job}")

    def get_objective(self) -> tuple[str | None, Mode]:
        """The metric that the job looks for, None when it does not, and its mode."""
        metric, mode = parse_objective(self.read_job_facts()["params"])
        return metric, "min" if mode == "min" else "max"

    def list_trials(self) -> list[TrialRow]:
        """The newest row of each, in the order of first sight."""
        board = self.recording.get_trial_index(self.job)
        board.refresh()
        return board.all_trials()

    def find_best_id(self, trials: list[TrialRow] | None = None) -> str | None:
        """The best trial: the one that was registered, else the best so far by the objective."""
        metric, mode = self.get_objective()
        registered = read_best_trial(self.recording.store, self.job)
        if registered is not None or metric is None:
            return registered
        found = self.list_trials() if trials is None else trials
        return find_best_trial(((trial.trial, trial.status or "", trial.metrics) for trial in found), metric, mode)

    def list_failures(self) -> list[dict[str, Any]]:
        """Each trial that failed: trial_id, error, cause, traceback, node, stderr."""
        rows = self.recording.store.fetch_all(
            "SELECT data FROM entries WHERE event = 'failure' AND job = ? ORDER BY id", (self.job,)
        )
        told = [json.loads(row["data"]) for row in rows]
        named = [failure for failure in told if isinstance(failure, dict)]
        return list({str(failure.get("trial_id")): failure for failure in named}.values())

    def read_error(self) -> str | None:
        """Why the job failed, when it did."""
        row = self.recording.store.fetch_one(
            "SELECT data FROM entries WHERE event = 'status' AND job = ? ORDER BY id DESC LIMIT 1", (self.job,)
        )
        data = json.loads(row["data"]) if row else None
        found = data.get("error") if isinstance(data, dict) else None
        return None if found is None else str(found)

    def read_result(self) -> dict[str, Any] | None:
        """The job's result as JSON: of result.json beside the recording, else what the backend was sent."""
        try:
            found = json.loads((self.folder / layout.RESULT).read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("job_id") not in (None, self.job):
            found = self.read_job_facts()["result"]
        return found if isinstance(found, dict) else None


def find_recording(path: str | Path) -> Path:
    """The recording that `path` (its file, or a results folder) means. Raises UsageError: there is none."""
    given = Path(path)
    file = given / layout.RECORDING if given.is_dir() else given
    if not file.is_file():
        got = f"no {layout.RECORDING} in it" if given.is_dir() else "not there"
        raise UsageError("must be a recording", where=str(given), got=got, fix=_FIX)
    return file


@contextmanager
def open_study(path: str | Path, job: int | None = None) -> Iterator[Study]:
    """The study at `path` for reading only, also while it runs; `job` None means the newest of the recording.

    Raises UsageError: there is no recording, it is empty, or it has no such job.
    """
    file = find_recording(path)
    reading = OpenRecording(file)
    try:
        known = [int(row["id"]) for row in reading.store.fetch_all("SELECT id FROM jobs ORDER BY created, id")]
        if not known:
            fix = "Wait until its job has begun, or name another."
            raise UsageError("must hold a job", where=str(file), got="an empty recording", fix=fix)
        if job is not None and job not in known:
            fix = f"It has {', '.join(map(str, known[-20:]))}."
            raise UsageError("must be a job of the recording", where="--job", got=str(job), fix=fix)
        yield Study(path=file, recording=reading, job=known[-1] if job is None else job)
    finally:
        reading.close()
