"""Suggestions for the name or path of a plugin that does not exist."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from trialrun.plugins.config_yaml import CONFIG
from trialrun.plugins.installed import list_installed

__all__ = ["ACCEPTED_FORMS", "is_plugin_folder", "path_exists", "suggest_name", "suggest_path"]

ACCEPTED_FORMS = (
    "Pass a .py file, a package folder, a folder with config.yaml, `pkg.module`, `pkg.module:object`, "
    "or the name of an installed plugin."
)


def path_exists(path: Path) -> bool:
    """Return whether a path exists; False also for a name that is too long or a folder without permission."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists() raises for those


def is_plugin_folder(path: Path) -> bool:
    """Return whether the folder has an `__init__.py` or a `config.yaml`."""
    return path_exists(path / "__init__.py") or path_exists(path / CONFIG)


def suggest_path(path: Path) -> str:
    """Return a hint with the plugins near a path that is not a plugin."""
    folder = path if os.path.isdir(path) else path.parent  # noqa: PTH112 - as above
    if not path_exists(folder):
        return f"The folder {folder} does not exist either."
    names = [entry.name for entry in _list_plugins(folder)]
    close = difflib.get_close_matches(path.name, names, n=1) or difflib.get_close_matches(f"{path.name}.py", names, n=1)
    if close:
        return f"Did you mean {str(folder / close[0])!r}?"
    return f"In {folder} there are: {', '.join(names[:10])}." if names else ACCEPTED_FORMS


def suggest_name(name: str) -> str:
    """Return a hint with the installed plugin, or file in the current folder, of nearly this name."""
    installed = list_installed()
    choices = {entry.stem: f"./{entry.name}" for entry in _list_plugins(Path.cwd())} | {
        name: name for name in installed
    }
    close = difflib.get_close_matches(name, choices, n=1)
    if close:
        return f"Did you mean {choices[close[0]]!r}?"
    return f"Installed are: {', '.join(installed)}. {ACCEPTED_FORMS}" if installed else ACCEPTED_FORMS


def _list_plugins(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if entry.suffix == ".py" or is_plugin_folder(entry)]
