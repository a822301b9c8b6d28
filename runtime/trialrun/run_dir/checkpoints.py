"""The complete checkpoints of a trial, each with what the trial had reported by then."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trialrun.outcomes import objective_value
from trialrun.run_dir import layout
from trialrun.run_dir.relocate import relocate_paths, results_roots
from trialrun.run_dir.spool import SpoolReader, SpoolWriter
from trialrun_hookspecs.errors import UsageError

__all__ = [
    "CheckpointRecord",
    "copy_checkpoint",
    "files_of_newest",
    "find_checkpoint",
    "find_checkpoint_record",
    "list_checkpoints",
    "prune_checkpoints",
    "write_checkpoint_record",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """A checkpoint that is complete on disk; it came with report number `iteration`.

    `attempt` and `number` name the last event before it: an attempt that resumes here repeats the events after that.
    `metrics` holds the newest value of everything that the trial had reported, `report` this report alone.
    `files` maps the names of its files to bytes: a copy with smaller or fewer files is incomplete.
    """

    path: str
    iteration: int
    attempt: int
    number: int
    metrics: dict[str, Any]
    report: dict[str, Any]
    files: dict[str, int] = field(default_factory=dict)


def copy_checkpoint(checkpoint: Path, target: Path) -> Path:
    """Copy a checkpoint, a folder or a file, into the folder `target`, and return that.

    A copy that an interrupted attempt left there is replaced.
    """
    shutil.rmtree(target, ignore_errors=True)
    if checkpoint.is_dir():
        shutil.copytree(checkpoint, target)
    else:
        target.mkdir()
        shutil.copy2(checkpoint, target)
    return target


def write_checkpoint_record(folder: Path, record: CheckpointRecord) -> None:
    """Append to the trial's folder that the checkpoint is complete."""
    entry = {**asdict(record), "files": _read_file_sizes(Path(record.path)), "folder": str(folder.absolute())}
    with SpoolWriter(folder / layout.CHECKPOINT_RECORDS) as writer:
        writer.write(json.dumps(entry))


def _read_file_sizes(checkpoint: Path) -> dict[str, int]:
    paths = (Path(at, name) for at, _, names in os.walk(checkpoint) for name in names)
    return {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in paths if path.is_file()}


def list_checkpoints(folder: Path) -> list[CheckpointRecord]:
    """Return the complete checkpoints of a trial that still exist, oldest first, with paths in today's folder."""
    return [record for record in _read_records(folder) if Path(record.path).exists() and _is_complete(record)]


def _is_complete(record: CheckpointRecord) -> bool:
    sizes = _read_file_sizes(Path(record.path))
    return all(sizes.get(name, -1) >= size for name, size in record.files.items())


def _read_records(folder: Path) -> list[CheckpointRecord]:
    records: dict[str, CheckpointRecord] = {}
    here = str(folder.absolute())
    for line in SpoolReader(folder / layout.CHECKPOINT_RECORDS).read_lines():
        try:
            entry = json.loads(line)
            record = CheckpointRecord(**relocate_paths(entry, *results_roots(entry.pop("folder", here), here)))
        except (ValueError, TypeError, AttributeError):  # torn when its writer was killed
            continue
        records.pop(record.path, None)  # written again: it is the newest now
        records[record.path] = record
    return list(records.values())


def files_of_newest(results: Path, sizes: Mapping[str, int]) -> set[str]:
    """Return the files of each trial's newest checkpoint that is complete in a copy with files of these `sizes`."""
    needed: set[str] = set()
    for file in layout.list_checkpoint_records(results):
        for record in reversed(_read_records(file.parent)):
            place = os.path.relpath(record.path, results.absolute())
            files = {f"{place}/{name}": size for name, size in record.files.items()}
            if files and all(sizes.get(name, -1) >= size for name, size in files.items()):
                needed.update(files)
                break
    return needed


def prune_checkpoints(
    kept: Sequence[tuple[str, Mapping[str, Any]]], keep: int | None, by: str, mode: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Remove all but the `keep` best and the newest of a trial's checkpoints, and return those that stay.

    `kept` holds (path, metrics), oldest first. The metric `by` ranks them; a checkpoint without it ranks last.
    """
    if keep is None or len(kept) <= keep:
        return [(path, dict(metrics)) for path, metrics in kept]
    sign = 1 if mode == "max" else -1

    def rank_checkpoint(at: int) -> tuple[float, int]:
        value = objective_value(kept[at][1], by)
        return (-math.inf if value is None else sign * value, at)

    best = {*sorted(range(len(kept)), key=rank_checkpoint)[-keep:], len(kept) - 1}
    for at, (path, _) in enumerate(kept):
        if at not in best:
            shutil.rmtree(path, ignore_errors=True)
    return [(path, dict(metrics)) for at, (path, metrics) in enumerate(kept) if at in best]


def find_checkpoint(path: Path) -> CheckpointRecord:
    """Return the checkpoint at `path`: a checkpoint, or a trial's folder, which stands for its newest complete one.

    Raises UsageError: there is none.
    """
    fix = "Name a trial's folder, such as DIR/trials/ID, or one of its checkpoints."
    if not path.exists():
        raise UsageError("there must be a trial's folder or a checkpoint", where="--restore", got=str(path), fix=fix)
    path = path.absolute()
    if path.is_dir() and (path / layout.CHECKPOINT_RECORDS).exists():
        complete = list_checkpoints(path)
        if not complete:
            raise UsageError("the trial has no complete checkpoint", where="--restore", got=str(path), fix=fix)
        return complete[-1]
    if path.is_dir() and ((path / layout.TRIAL_CONFIG).exists() or not any(path.iterdir())):
        raise UsageError("the trial has no checkpoint", where="--restore", got=str(path), fix=fix)
    known = [
        record for folder in _candidate_folders(path) if (record := find_checkpoint_record(folder, path)) is not None
    ]
    if known:
        return replace(known[0], path=str(path))
    return CheckpointRecord(path=str(path), iteration=0, attempt=0, number=0, metrics={}, report={})


def _candidate_folders(checkpoint: Path) -> list[Path]:
    """Return the trial folders that may own this checkpoint: its parent, or its trial's beside Ray's own folder."""
    trial_id = checkpoint.parent.name
    return [checkpoint.parent, *checkpoint.parent.parent.parent.glob(f"{layout.TRIALS_DIR}/*{trial_id}*")]


def find_checkpoint_record(folder: Path, path: Path) -> CheckpointRecord | None:
    """Return the record of the checkpoint at `path`; None where it is not one of this trial's."""
    same = [record for record in list_checkpoints(folder) if Path(record.path).parts[-2:] == path.parts[-2:]]
    return same[-1] if same else None
