"""The repository holds only files that belong there."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# One character in brackets, so that a pattern does not match its own line.
OF_ONE_MACHINE = {
    "a path of one machine": rb"(?<![\w.])/(?:[w]ork|[r]oot|home/[a-z]+)/|/tmp/[w]\b|/opt/(?:[p]ypi|[w]heels)",
    "an index of one machine": rb"--[e]xtra-index-url|--[i]ndex-url|https?://[\w.-]*(?:[a]rtifactory|[d]evpi|[n]exus)",
    "a token": rb"(?:gh[p]_|hf[_]|sk[-]|AKI[A])\w{16}",
}


def _tracked() -> list[Path]:
    """All files that are tracked, or would be with `git add --all`."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to it")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", OF_ONE_MACHINE)
def test_nothing_of_one_machine_is_in_a_file(what: str) -> None:
    found = {
        f"{file.relative_to(ROOT)}: {match.group().decode(errors='replace')}"
        for file in _tracked()
        for match in re.finditer(OF_ONE_MACHINE[what], file.read_bytes())
    }
    assert not found


def test_every_python_file_says_its_subject_in_its_first_line() -> None:
    broken = ROOT / "tests" / "broken_plugins"
    silent = [
        str(file.relative_to(ROOT))
        for file in _tracked()
        if file.suffix == ".py" and not file.is_relative_to(broken) and not _says_its_subject(file)
    ]
    assert not silent


def _says_its_subject(file: Path) -> bool:
    first = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]
    return bool(first) and first[-1] in ".:?"


def test_no_file_is_large() -> None:
    assert not [str(file.relative_to(ROOT)) for file in _tracked() if file.stat().st_size > 1_000_000]


@pytest.mark.parametrize(
    ("tests", "source"),
    [
        ("hookspecs", "hookspecs/trialrun_hookspecs"),
        ("runtime", "runtime/trialrun"),
        ("reference_plugins", "reference_plugins/trialrun_reference"),
    ],
)
def test_folders_of_tests_mirror_those_of_the_source(tests: str, source: str) -> None:
    folders = {file.parent.relative_to(ROOT / "tests" / tests) for file in (ROOT / "tests" / tests).rglob("test_*.py")}
    strays = [
        folder for folder in folders if not any((ROOT / source / f"{folder}{end}").exists() for end in ("", ".py"))
    ]
    assert not strays, "see tests/README.md for where a test goes"
