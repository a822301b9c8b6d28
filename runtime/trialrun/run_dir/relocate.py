"""Recorded paths, relocated to where the results folder is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["relocate_paths", "results_roots"]


def relocate_paths(value: Any, old: str, new: str) -> Any:
    """Return the JSON value with each path at or below the folder `old` replaced by the same path below `new`."""
    if old == new:
        return value
    if isinstance(value, str):
        return f"{new}{value[len(old) :]}" if f"{value}/".startswith(f"{old}/") else value
    if isinstance(value, list):
        return [relocate_paths(each, old, new) for each in value]
    if isinstance(value, dict):
        return {key: relocate_paths(each, old, new) for key, each in value.items()}
    return value


def results_roots(old: str, new: str) -> tuple[str, str]:
    """Return the old and the new results folder, given the old and the new path of a trial's folder in them.

    They are at most two levels up: a level counts only where the last names are equal.
    """
    before, now = Path(old), Path(new)
    for _ in range(2):
        if before.name == now.name:
            before, now = before.parent, now.parent
    return str(before), str(now)
