"""What was probably meant by the name of a plugin that is not there."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from trialrun.plugins.config_yaml import CONFIG
from trialrun.plugins.installed import installed_names

__all__ = ["FORMS", "exists", "is_plugin_folder", "nearby", "nearest_name"]

FORMS = (
    "Hand over a .py file, a package folder, a folder with config.yaml, `pkg.module`, `pkg.module:object`, "
    "or the name of an installed plugin."
)


def exists(path: Path) -> bool:
    """Whether something is there; False also for a name too long or a folder that may not be searched."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists() raises for those


def is_plugin_folder(path: Path) -> bool:
    """Whether the folder has what makes it a plugin."""
    return exists(path / "__init__.py") or exists(path / CONFIG)


def nearby(path: Path) -> str:
    """Say which plugins lie near a path that is none."""
    folder = path if os.path.isdir(path) else path.parent  # noqa: PTH112 - as above
    if not exists(folder):
        return f"The folder {folder} does not exist either."
    names = [entry.name for entry in _plugins_in(folder)]
    close = difflib.get_close_matches(path.name, names, n=1) or difflib.get_close_matches(f"{path.name}.py", names, n=1)
    if close:
        return f"Did you mean {str(folder / close[0])!r}?"
    return f"In {folder} there are: {', '.join(names[:10])}." if names else FORMS


def nearest_name(name: str) -> str:
    """Say which installed plugin, or which file of the current folder, has nearly this name."""
    installed = installed_names()
    choices = {entry.stem: f"./{entry.name}" for entry in _plugins_in(Path.cwd())} | {name: name for name in installed}
    close = difflib.get_close_matches(name, choices, n=1)
    if close:
        return f"Did you mean {choices[close[0]]!r}?"
    return f"Installed are: {', '.join(installed)}. {FORMS}" if installed else FORMS


def _plugins_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if entry.suffix == ".py" or is_plugin_folder(entry)]
