"""The names of all files and folders in a results folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from trialrun.names import file_name
from trialrun_hookspecs.errors import UsageError

__all__ = [
    "checkpoint_name",
    "create_results_folder",
    "files_beside",
    "is_driver_spool",
    "list_checkpoint_records",
    "spool_name",
    "sqlite_files",
]

# What a run was called with, and how it ended
RUN_RECORD = "run.json"
JOB_FILE = "job.json"
RESULT = "result.json"
UNDELIVERED = "undelivered.txt"
TRACEBACK = "traceback.txt"
LOCK = "lock"
OWNER = ".trialrun-owner"
"""In a copy: the token of the process that wrote it last. In a results folder: the tokens of its own processes."""
PART_SUFFIX = ".trialrun-part"
"""The end of the name of a file that is still being copied."""

# The inputs that the backend served
DATASET_DIR = "dataset"
CHECKPOINT_DIR = "checkpoint"

# What was reported, and what of it was delivered
SPOOL_DIR = "spool"
SPOOL_SUFFIX = ".jsonl"
SPOOLS = f"*{SPOOL_SUFFIX}"
DRIVER = "driver"
DRIVER_SPOOLS = f"{DRIVER}.*{SPOOL_SUFFIX}"
FIRST_SPOOL_SUFFIX = f".0{SPOOL_SUFFIX}"
LEDGER_DIR = "sent"
LEDGER_SUFFIX = ".jsonl"
DEAD_LETTERS = "refused.jsonl"
DEAD_LETTERS_RETRY = f"{DEAD_LETTERS}.retry"

# The recording, and the recorder's folder beside it
RECORDING = "recorder.sqlite"
RECORDER_UPLOADS = "uploads"
RECORDER_PACKED = "packed"

# A study and its trials
JOURNAL = "study.jsonl"
TRIALS_DIR = "trials"
TRAIN_DIR = "train"
RAY_DIR = "ray"
RAY_LOG = "ray.log"
EXPORT_DIR = "export"

# In the folder of a trial, and in that of a training job
TRIAL_CONFIG = "config.json"
CHECKPOINT_RECORDS = "checkpoints.jsonl"
CHECKPOINT_PREFIX = "checkpoint_"
ARTIFACT = "artifact"
OUTPUT_PATH = "checkpoint_output"
FINISHED = "finished"
"""Exists once the plugin's function has returned."""
OUTPUT_FILES = ("stdout", "stderr")

# What the loggers of a trial write, under the names that Ray gives them
PARAMS_LOG = "params.json"
CSV_LOG = "progress.csv"
JSON_LOG = "result.json"

RESULTS_ROOT = "trialrun-results"
"""The default folder of results folders."""


def spool_name(writer: str, number: int) -> str:
    """The spool of a trial's, the training's or the driver's attempt `number`."""
    return f"{writer}.{number}{SPOOL_SUFFIX}"


def is_driver_spool(name: str) -> bool:
    return name.startswith(f"{DRIVER}.")


def checkpoint_name(number: int) -> str:
    """The checkpoint that came with report `number`."""
    return f"{CHECKPOINT_PREFIX}{number:06d}"


def list_checkpoint_records(results: Path) -> list[Path]:
    """The checkpoint records of all trials, or of the training, below a results folder."""
    folders = (*results.glob(f"{TRIALS_DIR}/*"), results / TRAIN_DIR)
    return [folder / CHECKPOINT_RECORDS for folder in folders if (folder / CHECKPOINT_RECORDS).exists()]


def files_beside(recording: Path) -> Path:
    """The folder of a recording's uploads and packed models."""
    return recording.with_name(f"{recording.stem}-files")


def sqlite_files(recording: Path) -> tuple[Path, Path, Path]:
    """The files that SQLite keeps beside an open database: write-ahead log, its index, rollback journal."""
    wal, shm, journal = (recording.with_name(f"{recording.name}-{end}") for end in ("wal", "shm", "journal"))
    return wal, shm, journal


def create_results_folder(root: Path, name: str, job_id: int | None) -> tuple[Path, int]:
    """Create the folder `<name>-<job id>` below `root` and return it with the job id, the next free one for None.

    Raises UsageError: `root` cannot be created or is a file, or the job has results there already.
    """
    if root.exists() and not root.is_dir():
        raise UsageError("must be a folder", where="--results", got=str(root), fix="Name another one.")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "Name a folder that can be written to."
        raise UsageError("cannot be created", where="--results", got=f"{root} ({error.strerror})", fix=fix) from None
    name = file_name(name)
    if job_id is not None:
        return _create_folder(root / f"{name}-{job_id}"), job_id
    endings = [entry.name.rpartition("-")[2] for entry in root.iterdir()]
    number = max((int(ending) for ending in endings if ending.isdecimal()), default=0) + 1
    while True:
        with contextlib.suppress(FileExistsError):
            folder = root / f"{name}-{number}"
            folder.mkdir()
            return folder.absolute(), number
        number += 1


def _create_folder(folder: Path) -> Path:
    try:
        folder.mkdir()
    except FileExistsError:
        fix = "Give another --results or --job."
        raise UsageError("this job has results already", where=str(folder), fix=fix) from None
    return folder.absolute()
