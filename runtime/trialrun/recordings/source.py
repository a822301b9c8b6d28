"""The study of a recording: which file a path means, which job of it, and what is known of that job."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.outcomes import Mode, best
from trialrun.recorder.jobs import described_job
from trialrun.recordings.jobs import best_trial, objective
from trialrun.recordings.library import Reading
from trialrun.recordings.trial_index import Trial
from trialrun_hookspecs.errors import UsageError

__all__ = ["OVER", "Study", "is_held", "opened", "recording_of"]

NAME = "recorder.sqlite"
OVER = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_FIX = "Name the results folder of a run, or a recorder.sqlite file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One job of a recording that is open for reading; `path` is the recording's file."""

    path: Path
    reading: Reading
    job: int

    @property
    def folder(self) -> Path:
        """Where the recording lies: the results folder of the run."""
        return self.path.parent

    def facts(self) -> dict[str, Any]:
        """The job as it stands now: name, status, params, progress, result and what else was sent."""
        row = self.reading.store.row("SELECT * FROM jobs WHERE id = ?", (self.job,))
        if row is None:
            raise UsageError("must hold the job", where=str(self.path), got=f"no job {self.job} any more", fix=_FIX)
        return described_job(row)

    @property
    def name(self) -> str:
        return str(self.facts()["name"] or f"job {self.job}")

    def objective(self) -> tuple[str | None, Mode]:
        """The metric that the job looks for, None when it does not, and its mode."""
        metric, mode = objective(self.facts()["params"])
        return metric, "min" if mode == "min" else "max"

    def trials(self) -> list[Trial]:
        """The newest row of each, in the order of first sight."""
        board = self.reading.board(self.job)
        board.refresh()
        return board.trials()

    def best(self, trials: list[Trial] | None = None) -> str | None:
        """The best trial: the one that was registered, else the best so far by the objective."""
        metric, mode = self.objective()
        registered = best_trial(self.reading.store, self.job)
        if registered is not None or metric is None:
            return registered
        found = self.trials() if trials is None else trials
        return best(((trial.trial, trial.status or "", trial.metrics) for trial in found), metric, mode)

    def failures(self) -> list[dict[str, Any]]:
        """Each trial that failed: trial_id, error, cause, traceback, node, stderr."""
        rows = self.reading.store.rows(
            "SELECT data FROM entries WHERE event = 'failure' AND job = ? ORDER BY id", (self.job,)
        )
        told = [json.loads(row["data"]) for row in rows]
        named = [failure for failure in told if isinstance(failure, dict)]
        return list({str(failure.get("trial_id")): failure for failure in named}.values())

    def error(self) -> str | None:
        """Why the job failed, when it did."""
        row = self.reading.store.row(
            "SELECT data FROM entries WHERE event = 'status' AND job = ? ORDER BY id DESC LIMIT 1", (self.job,)
        )
        data = json.loads(row["data"]) if row else None
        found = data.get("error") if isinstance(data, dict) else None
        return None if found is None else str(found)

    def result(self) -> dict[str, Any] | None:
        """The job's result as JSON: of result.json beside the recording, else what the backend was sent."""
        try:
            found = json.loads((self.folder / "result.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("job_id") not in (None, self.job):
            found = self.facts()["result"]
        return found if isinstance(found, dict) else None


def recording_of(path: str | Path) -> Path:
    """The recording that `path` (its file, or a results folder) means. Raises UsageError: there is none."""
    given = Path(path)
    file = given / NAME if given.is_dir() else given
    if not file.is_file():
        got = f"no {NAME} in it" if given.is_dir() else "not there"
        raise UsageError("must be a recording", where=str(given), got=got, fix=_FIX)
    return file


@contextmanager
def opened(path: str | Path, job: int | None = None) -> Iterator[Study]:
    """The study at `path` for reading only, also while it runs; `job` None means the newest of the recording.

    Raises UsageError: there is no recording, it is empty, or it has no such job.
    """
    file = recording_of(path)
    reading = Reading(file)
    try:
        known = [int(row["id"]) for row in reading.store.rows("SELECT id FROM jobs ORDER BY created, id")]
        if not known:
            fix = "Wait until its job has begun, or name another."
            raise UsageError("must hold a job", where=str(file), got="an empty recording", fix=fix)
        if job is not None and job not in known:
            fix = f"It has {', '.join(map(str, known[-20:]))}."
            raise UsageError("must be a job of the recording", where="--job", got=str(job), fix=fix)
        yield Study(path=file, reading=reading, job=known[-1] if job is None else job)
    finally:
        reading.close()


def is_held(folder: Path) -> bool | None:
    """Whether a process works on the run of a results folder now; None where nothing can say so."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(file)
    return False
