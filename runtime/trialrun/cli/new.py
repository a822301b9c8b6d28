"""`trialrun new`: create a plugin, its conformance test and a CI workflow."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click

from trialrun._version import __version__
from trialrun_hookspecs.errors import Problem, UsageError

__all__ = ["command", "write_plugin_files"]

_FILES: Mapping[str, str] = {
    "@@module@@.py": "plugin.py.txt",
    "tests/test_@@module@@.py": "test_plugin.py.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
    "points.csv": "points.csv.txt",
    "tune.json": "tune.json.txt",
    ".github/workflows/conformance.yml": "conformance.yml.txt",
}
"""Path in the new folder -> its template; both may hold `@@module@@`, `@@title@@` and `@@version@@`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")


@click.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Create a plugin with tests and a CI workflow.

    It is written into FOLDER, has the folder's name and passes `trialrun check`. Existing files are not overwritten.
    """
    for path in write_plugin_files(folder):
        click.echo(f"wrote {path}")
    module = _derive_module_name(folder)
    click.echo(f"\nNow run:\n  cd {folder}\n  trialrun check ./{module}.py\n  python -m pytest")


def write_plugin_files(folder: Path) -> list[Path]:
    """Write the files and return their paths. Raises UsageError: one of them exists; then nothing is written."""
    words = {"@@module@@": _derive_module_name(folder), "@@title@@": folder.absolute().name, "@@version@@": __version__}
    texts = {
        folder / _fill_template(path, words): _fill_template(_read_template(name), words)
        for path, name in _FILES.items()
    }
    _refuse_to_overwrite(folder, texts)
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        fix = "Name a writable folder."
        raise UsageError("cannot be written", where=str(error.filename), got=str(error.strerror), fix=fix) from None
    return list(texts)


def _derive_module_name(folder: Path) -> str:
    """Return the folder's name with `_` for `-`. Raises UsageError: that is not a valid module name."""
    name = folder.absolute().name
    module = name.replace("-", "_").lower()
    if not _NAME.fullmatch(name) or keyword.iskeyword(module) or module in ("test", "tests", "trialrun"):
        fix = "Use letters, digits and single - or _, and begin with a letter: my_plugin."
        raise UsageError("must be a name for a Python module", where="folder", got=repr(name), fix=fix)
    return module


def _refuse_to_overwrite(folder: Path, texts: Mapping[Path, str]) -> None:
    fix = "Name a new folder, or move the file away."
    if folder.exists() and not folder.is_dir():
        raise UsageError("must be a new folder", where=str(folder), got="a file", fix=fix)
    existing = [path for path in texts if path.exists() or path.is_symlink()]
    if existing:
        rule = "already exists, and is not overwritten"
        raise UsageError(problems=[Problem(where=str(path), rule=rule, fix=fix) for path in existing])


def _read_template(name: str) -> str:
    return files("trialrun.cli").joinpath("templates", name).read_text("utf-8")


def _fill_template(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
