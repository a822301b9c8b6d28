"""Which checkpoints of a trial are complete, and what it had reported when it made them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trialrun.backend.spool import SpoolReader, SpoolWriter

__all__ = ["Mark", "copied", "mark_checkpoint", "mark_of", "marks"]

_FILE = "checkpoints.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A checkpoint that is wholly on disk: it came with report number `iteration`.

    The trial's attempt and the number of the last event before it tell what an attempt that goes on from here repeats.
    `metrics` are all that the trial had reported, the newest value of each, and `report` is what came with this report.
    """

    path: str
    iteration: int
    attempt: int
    number: int
    metrics: dict[str, Any]
    report: dict[str, Any]


def copied(checkpoint: Path, target: Path) -> Path:
    """A copy of the checkpoint, a folder also where it is a file. What an attempt that was cut off left is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    if checkpoint.is_dir():
        shutil.copytree(checkpoint, target)
    else:
        target.mkdir()
        shutil.copy2(checkpoint, target)
    return target


def mark_checkpoint(folder: Path, mark: Mark) -> None:
    """Write down, in the trial's folder, that the checkpoint is complete. The newest stands last."""
    with SpoolWriter(folder / _FILE) as writer:
        writer.write(json.dumps(asdict(mark)))


def marks(folder: Path) -> list[Mark]:
    """The complete checkpoints of a trial that are still there, oldest first."""
    found: dict[str, Mark] = {}
    for line in SpoolReader(folder / _FILE).read():
        try:
            mark = Mark(**json.loads(line))
        except (ValueError, TypeError):  # torn by a death
            continue
        found.pop(mark.path, None)  # made again, so it is newer than those before
        found[mark.path] = mark
    return [mark for mark in found.values() if Path(mark.path).exists()]


def mark_of(folder: Path, path: Path) -> Mark | None:
    """The mark of this checkpoint, where it is one of the trial's own."""
    same = [mark for mark in marks(folder) if Path(mark.path).parts[-2:] == path.parts[-2:]]
    return same[-1] if same else None
