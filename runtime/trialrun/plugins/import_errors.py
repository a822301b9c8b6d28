"""Errors of a plugin's own code, reported with the line in its own files."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from trialrun_hookspecs.errors import PluginBroken

__all__ = ["call_plugin_code", "import_module"]

T = TypeVar("T")

_DISTRIBUTIONS = {  # distributions whose name is not that of their module
    "PIL": "pillow",
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def import_module(name: str, *, where: str, inside: Path | None) -> ModuleType:
    """Return a module of a plugin. Raises PluginBroken for any error of its import."""
    return call_plugin_code(lambda: importlib.import_module(name), where=where, inside=inside)


def call_plugin_code(
    call: Callable[[], T], *, where: str, inside: Path | None, rule: str = "it must import without an error"
) -> T:
    """Return the result of the plugin's own code. Raises PluginBroken for any error of it, with the error chained.

    `inside` is the plugin's file or folder: the last line of the traceback in there is reported.
    """
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        got = f"{_format_error(error)}{_format_location(error, inside)}"
        raise PluginBroken(rule, where=where, got=got, fix=_suggest_fix(error, inside)) from error


def _format_error(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _format_location(error: BaseException, inside: Path | None) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno or 1}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if inside and _is_within(Path(frame.filename), inside)]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""


def _is_within(path: Path, inside: Path) -> bool:
    return path == inside or (inside in path.parents and "site-packages" not in path.relative_to(inside).parts)


def _suggest_fix(error: BaseException, inside: Path | None) -> str:
    if isinstance(error, SystemExit):
        return "Keep what runs the program below `if __name__ == '__main__':`."
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    top, _, rest = error.name.partition(".")
    if rest and inside is not None and (inside.stem == top or (inside / top).is_dir()):
        return f"The plugin's own module {error.name!r} is missing: check its name."
    return f"Install the missing library into this environment: pip install {_DISTRIBUTIONS.get(top, top)}"
