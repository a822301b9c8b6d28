"""`trialrun new` writes a conformant plugin."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trialrun.testing import check_plugin
from trialrun_hookspecs import parse_request

from .conftest import Called, Spawned


def test_what_it_writes_is_conformant(called: Called, tmp_path: Path) -> None:
    assert called("new", "my-plugin").exit_code == 0
    report = check_plugin(tmp_path / "my-plugin" / "my_plugin.py")
    assert report.headline == "conformant", report.to_json()


def test_what_it_writes_passes_its_own_tests(called: Called, spawned: Spawned, tmp_path: Path) -> None:
    import subprocess
    import sys

    called("new", "my_plugin")
    command = [sys.executable, "-m", "pytest", "-q", "--trialrun-select=TR101,TR201", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path / "my_plugin", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_job_it_writes_runs(called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called("new", "my_plugin")
    monkeypatch.chdir(tmp_path / "my_plugin")
    parse_request(json.loads(Path("tune.json").read_text("utf-8")))
    result = called_in(called, "run", "tune.json", "--plugin", "./my_plugin.py", "--dataset", "1=points.csv")
    assert result == 0


def called_in(called: Called, *args: str) -> int:
    return called(*args, "--executor", "inline", "--quiet").exit_code


def test_files_are_in_their_languages(called: Called, tmp_path: Path) -> None:
    result = called("new", "some/where/my_plugin")
    folder = tmp_path / "some" / "where" / "my_plugin"
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text("utf-8"))
    workflow = YAML(typ="safe", pure=True).load(
        (folder / ".github" / "workflows" / "conformance.yml").read_text("utf-8")
    )
    assert any(
        "trialrun check ./my_plugin.py" in str(step.get("run")) for step in workflow["jobs"]["conformance"]["steps"]
    )
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in written if "@@" in path.read_text("utf-8")]
    assert result.stdout.count("wrote ") == len(written)


def test_nothing_is_overwritten(called: Called, tmp_path: Path) -> None:
    (tmp_path / "my_plugin").mkdir()
    mine = tmp_path / "my_plugin" / "pyproject.toml"
    mine.write_text("mine", "utf-8")
    result = called("new", "my_plugin")
    assert result.exit_code == 2
    assert "is not overwritten" in result.stderr
    assert mine.read_text("utf-8") == "mine"
    assert list((tmp_path / "my_plugin").iterdir()) == [mine]


@pytest.mark.parametrize("name", ["1st", "my plugin", "class", "my.plugin", "-x", "é", "tests"])
def test_a_name_that_no_module_can_have_is_refused(called: Called, tmp_path: Path, name: str) -> None:
    result = called("new", "--", name)
    assert result.exit_code == 2
    assert "must be a name for a Python module" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_named(called: Called, tmp_path: Path) -> None:
    (tmp_path / "my_plugin").write_text("", "utf-8")
    result = called("new", "my_plugin")
    assert result.exit_code == 2
    assert "must be a new folder" in result.stderr
