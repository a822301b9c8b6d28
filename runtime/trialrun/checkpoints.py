"""The model artifact of a trial, and the id that names it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trialrun.outcomes import Mode, is_better, objective_value
from trialrun_hookspecs.errors import ArtifactMissing, BadValue

__all__ = ["Artifact", "resolve_artifact", "trial_key"]

_FIX = "Write the model there before the trial ends, or set run.checkpoint_output to where it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file or folder to be uploaded as a model; `path` is absolute and free of links."""

    path: Path
    source: Literal["checkpoint_output", "checkpoint"]


def trial_key(ray_id: str | None, metrics: Mapping[str, Any], artifact: Artifact | str | Path | None) -> str:
    """Return the id of a trial: Ray's, else `trial_id` of its metrics, else 12 hex digits of its artifact path's hash.

    All spellings of one path (relative, through links, with a trailing slash) give the same id.
    Raises BadValue when none of the three is known.
    """
    for candidate in (ray_id, metrics.get("trial_id")):
        if isinstance(candidate, str) and candidate.strip():
            return candidate
    if artifact is None:
        raise BadValue("must have an id, a trial_id in its metrics, or an artifact", where="trial", got="none of them")
    path = artifact.path if isinstance(artifact, Artifact) else Path(artifact)
    # SHA-1 is the platform's rule; it names a folder and guards nothing
    return hashlib.sha1(os.fsencode(_resolve_path(path).as_posix()), usedforsecurity=False).hexdigest()[:12]


def resolve_artifact(
    *,
    declared: str | Path | None,
    in_metrics: Mapping[str, Any],
    kept: Sequence[tuple[str | Path, Mapping[str, Any]]],
    metric: str | None,
    mode: Mode,
    roots: Sequence[str | Path],
) -> Artifact | None:
    """Return the artifact of a trial; None when it declared none and kept no checkpoint.

    The order is: `checkpoint_output` of the metrics, the path `declared` on the run, then of Ray's `kept` checkpoints
    (oldest first) the best by `metric`, or the last when none has it. Relative paths start at the first root.
    Raises ArtifactMissing when the artifact is absent, empty, or outside every one of `roots`.
    """
    for candidate in (in_metrics.get("checkpoint_output"), declared):
        if candidate is not None and candidate != "":
            return Artifact(path=_check_artifact(candidate, roots), source="checkpoint_output")
    if not kept:
        return None
    return Artifact(path=_check_artifact(_select_checkpoint(kept, metric, mode), roots), source="checkpoint")


def _select_checkpoint(
    kept: Sequence[tuple[str | Path, Mapping[str, Any]]], metric: str | None, mode: Mode
) -> str | Path:
    chosen, record = kept[-1][0], None
    for path, metrics in kept:
        value = None if metric is None else objective_value(metrics, metric)
        if value is not None and is_better(value, record, mode):
            chosen, record = path, value
    return chosen


def _check_artifact(candidate: Any, roots: Sequence[str | Path]) -> Path:
    if not isinstance(candidate, str | os.PathLike):
        raise ArtifactMissing(
            "must be a path", where="checkpoint_output", got=f"{type(candidate).__name__} {candidate!r}"[:100]
        )
    named = repr(os.fspath(candidate))
    bases = [_resolve_path(Path(root)) for root in roots]
    try:
        path = _resolve_path(bases[0] / candidate if bases else Path(candidate))
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ArtifactMissing("must exist", where="artifact", got=f"{named} ({error})", fix=_FIX) from error
    if not any(path.is_relative_to(base) for base in bases):
        allowed = ", ".join(str(base) for base in bases) or "no folder"
        fix = "Write it to run.checkpoint_output, or into the trial's working folder."
        raise ArtifactMissing(f"must be inside {allowed}", where="artifact", got=named, fix=fix)
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ArtifactMissing("must be a file or a folder", where="artifact", got=named, fix=_FIX)
    if not any(size > 0 for size in _file_sizes(path)):
        raise ArtifactMissing("must not be empty", where="artifact", got=named, fix=_FIX)
    return path


def _resolve_path(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _file_sizes(path: Path) -> Iterator[int]:
    if path.is_file():
        yield path.stat().st_size
        return
    for folder, _, files in os.walk(path):
        for name in files:
            file = Path(folder, name)
            if file.is_file():
                yield file.stat().st_size
