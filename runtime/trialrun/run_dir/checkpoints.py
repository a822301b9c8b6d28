"""Which checkpoints of a trial are complete, and what it had reported when it made them."""

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
    """A checkpoint that is wholly on disk: it came with report number `iteration`.

    The trial's attempt and the number of the last event before it tell what an attempt that goes on from here repeats.
    `metrics` are all that the trial had reported, the newest value of each, and `report` is what came with this report.
    `files` are the sizes of its files: where a copy of it has less, it is not complete there.
    """

    path: str
    iteration: int
    attempt: int
    number: int
    metrics: dict[str, Any]
    report: dict[str, Any]
    files: dict[str, int] = field(default_factory=dict)


def copy_checkpoint(checkpoint: Path, target: Path) -> Path:
    """A copy of the checkpoint, a folder also where it is a file. What an attempt that was cut off left is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    if checkpoint.is_dir():
        shutil.copytree(checkpoint, target)
    else:
        target.mkdir()
        shutil.copy2(checkpoint, target)
    return target


def write_checkpoint_record(folder: Path, mark: CheckpointRecord) -> None:
    """Write down, in the trial's folder, that the checkpoint is complete. The newest stands last."""
    said = {**asdict(mark), "files": _read_file_sizes(Path(mark.path)), "folder": str(folder.absolute())}
    with SpoolWriter(folder / layout.CHECKPOINT_RECORDS) as writer:
        writer.write(json.dumps(said))


def _read_file_sizes(checkpoint: Path) -> dict[str, int]:
    paths = (Path(at, name) for at, _, names in os.walk(checkpoint) for name in names)
    return {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in paths if path.is_file()}


def list_checkpoints(folder: Path) -> list[CheckpointRecord]:
    """The complete checkpoints of a trial that are still there, oldest first, where the folder lies now."""
    return [mark for mark in _read_records(folder) if Path(mark.path).exists() and _is_complete(mark)]


def _is_complete(mark: CheckpointRecord) -> bool:
    there = _read_file_sizes(Path(mark.path))
    return all(there.get(name, -1) >= size for name, size in mark.files.items())


def _read_records(folder: Path) -> list[CheckpointRecord]:
    found: dict[str, CheckpointRecord] = {}
    here = str(folder.absolute())
    for line in SpoolReader(folder / layout.CHECKPOINT_RECORDS).read_lines():
        try:
            said = json.loads(line)
            mark = CheckpointRecord(**relocate_paths(said, *results_roots(said.pop("folder", here), here)))
        except (ValueError, TypeError, AttributeError):  # torn by a death
            continue
        found.pop(mark.path, None)  # made again, so it is newer than those before
        found[mark.path] = mark
    return list(found.values())


def files_of_newest(results: Path, sizes: Mapping[str, int]) -> set[str]:
    """Of a copy of the results that has these files: those of the newest checkpoint of each trial that it has whole."""
    needed: set[str] = set()
    for file in layout.list_checkpoint_records(results):
        for mark in reversed(_read_records(file.parent)):
            place = os.path.relpath(mark.path, results.absolute())
            files = {f"{place}/{name}": size for name, size in mark.files.items()}
            if files and all(sizes.get(name, -1) >= size for name, size in files.items()):
                needed.update(files)
                break
    return needed


def prune_checkpoints(
    kept: Sequence[tuple[str, Mapping[str, Any]]], keep: int | None, by: str, mode: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Of a trial's checkpoints, oldest first, those to keep: the best by a metric, and the newest. The rest is removed.

    Those that came without the metric are worse than any other.
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
    """Where a trial goes on that another one begins: its folder (the newest complete checkpoint), or a checkpoint.

    Raises UsageError: there is none.
    """
    fix = "Name a trial's folder, such as DIR/trials/ID, or one of its checkpoints."
    if not path.exists():
        raise UsageError("there must be a trial's folder or a checkpoint", where="--restore", got=str(path), fix=fix)
    path = path.absolute()
    if path.is_dir() and (path / layout.CHECKPOINT_RECORDS).exists():
        found = list_checkpoints(path)
        if not found:
            raise UsageError("the trial has no complete checkpoint", where="--restore", got=str(path), fix=fix)
        return found[-1]
    if path.is_dir() and ((path / layout.TRIAL_CONFIG).exists() or not any(path.iterdir())):
        raise UsageError("the trial has no checkpoint", where="--restore", got=str(path), fix=fix)
    known = [mark for folder in _candidate_folders(path) if (mark := find_checkpoint_record(folder, path)) is not None]
    if known:
        return replace(known[0], path=str(path))
    return CheckpointRecord(path=str(path), iteration=0, attempt=0, number=0, metrics={}, report={})


def _candidate_folders(checkpoint: Path) -> list[Path]:
    """The trial folders that this checkpoint may belong to: its parent, or its trial's beside Ray's own folder."""
    trial_id = checkpoint.parent.name
    return [checkpoint.parent, *checkpoint.parent.parent.parent.glob(f"{layout.TRIALS_DIR}/*{trial_id}*")]


def find_checkpoint_record(folder: Path, path: Path) -> CheckpointRecord | None:
    """The mark of this checkpoint, where it is one of the trial's own."""
    same = [mark for mark in list_checkpoints(folder) if Path(mark.path).parts[-2:] == path.parts[-2:]]
    return same[-1] if same else None
