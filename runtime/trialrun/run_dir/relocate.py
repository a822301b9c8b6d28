"""Paths that were written down, as they are where the results folder lies now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["relocate_paths", "results_roots"]


def relocate_paths(value: Any, old: str, new: str) -> Any:
    """The JSON value with every string that is a path at or below the folder `old` as one at or below `new`."""
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
    """Of a trial's folder then and now, the results folders: above the last two names, as far as these are the same."""
    before, now = Path(old), Path(new)
    for _ in range(2):
        if before.name == now.name:
            before, now = before.parent, now.parent
    return str(before), str(now)
