"""A failure can be carried away as a script that fails by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from trialrun.testing.harness import check_plugin
from trialrun.testing.repro import render_script
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.target import Target
from trialrun.testing.verdicts import Outcome, Verdict

from .conftest import Write

BAD = """
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    return "nowhere"
"""
MENDED = BAD.replace('    return "nowhere"', '    open("m", "w").write("1")\n    return "m"')


def ran(path: Path, *args: str) -> int:
    return subprocess.run([sys.executable, str(path), *args], capture_output=True, check=False).returncode


def test_a_script_fails_holds_or_cannot_tell(write: Write, sandboxes: SandboxPool, tmp_path: Path) -> None:
    bad, folder = write(BAD, "bad.py"), tmp_path / "repro"
    report = check_plugin(bad, select=["TR202"], repro_dir=folder, sandboxes=sandboxes, config=False)
    [outcome] = report.of(Verdict.FAIL)
    assert outcome.repro is not None
    path = Path(outcome.repro)
    assert path.parent == folder
    assert ran(path, str(write(MENDED, "mended.py"))) == 0
    assert ran(path, str(write("raise SystemExit\n", "broken.py"))) == 125


def test_what_the_plugin_says_cannot_break_the_script() -> None:
    message = 'it said """ and \\N{BULLET} and \n"quotes"'
    outcome = Outcome(id="TR101", title="t", verdict=Verdict.FAIL, level="core", family="contract", message=message)
    compile(render_script(outcome, "/a 'b'/c.py", Target(spec="x", metric='"""'), seed=7), "script", "exec")
