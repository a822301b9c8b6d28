"""Type checkers see the public API as the files beside this one say, and its misuse as an error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(str(file) for file in Path(__file__).parent.glob("*.py") if not file.name.startswith("test_"))
PYRIGHT = ROOT / "node_modules" / ".bin" / "pyright"
SOURCES = [str(ROOT / root) for root in ("hookspecs", "runtime")]


def test_mypy_agrees() -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *CASES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_agrees(tmp_path: Path) -> None:
    """The cases are copied beside the settings: pyright ignores a path that is not below them, and passes."""
    if not PYRIGHT.exists():
        pytest.skip("pyright is not installed: npm install, where there is node")
    config = {
        "extraPaths": SOURCES,
        "typeCheckingMode": "standard",
        "reportUnnecessaryTypeIgnoreComment": True,
        "pythonVersion": "3.11",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), "utf-8")
    for case in CASES:
        shutil.copy(case, tmp_path)
    command = [str(PYRIGHT), "--outputjson", "--project", str(tmp_path), "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(CASES)
