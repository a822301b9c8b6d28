"""The [tool.trialrun] table of a pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun_hookspecs.errors import UsageError

__all__ = ["ProjectConfig", "find_pyproject", "read_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig:
    """The contents of a [tool.trialrun] table: the plugin, its settings, and its waivers, not validated."""

    path: Path | None = None
    plugin: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    waivers: Sequence[Mapping[str, Any]] = ()
    text: str = ""


def find_pyproject(start: Path) -> Path | None:
    """Return the nearest pyproject.toml at or above `start` that mentions tool.trialrun, or None."""
    start = start if start.is_dir() else start.parent
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file() and b"tool.trialrun" in path.read_bytes():
            return path
    return None


def read_config(path: Path | None) -> ProjectConfig:
    """Read [tool.trialrun]. A relative plugin or dataset is relative to the file. Raises UsageError when malformed."""
    if path is None:
        return ProjectConfig()
    text = path.read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text).get("tool", {}).get("trialrun", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError("must be TOML", where=str(path), got=str(error), fix="Correct that line.") from None
    if not isinstance(table, Mapping):
        raise UsageError("must be a table", where=f"{path}, [tool.trialrun]", got=repr(table)[:80])
    data = {key: value for key, value in table.items() if key not in ("plugin", "waivers")}
    waivers, plugin = table.get("waivers", ()), table.get("plugin")
    if not isinstance(waivers, list | tuple) or not all(isinstance(waiver, Mapping) for waiver in waivers):
        fix = "Write each as [[tool.trialrun.waivers]]."
        raise UsageError("must be a list of tables", where=f"{path}, tool.trialrun.waivers", got="none", fix=fix)
    if isinstance(data.get("dataset"), str) and (path.parent / data["dataset"]).exists():
        data["dataset"] = str((path.parent / data["dataset"]).resolve())
    if isinstance(plugin, str) and (path.parent / plugin).exists():
        plugin = str((path.parent / plugin).resolve())
    return ProjectConfig(path=path, plugin=plugin, data=data, waivers=tuple(waivers), text=text)
