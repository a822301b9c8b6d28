"""Imports that must be light are light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"hypothesis", "pandas", "pydantic", "ray", "sklearn", "torch"}


def _imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has after running the code."""
    ask = f"import sys\n{code}\nimport json\nprint(json.dumps([name for name in sys.modules if '.' not in name]))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import trialrun",
        "import trialrun_hookspecs",
        "from trialrun_hookspecs import BadValue, Event, Run, hookimpl, spec",
        "import trialrun; trialrun.__version__; dir(trialrun); hasattr(trialrun, '__path__')",
        "import trialrun_hookspecs; hasattr(trialrun_hookspecs, 'pytest_plugins')",
        "from trialrun.cli import main",
        "from trialrun.cli import main; main(['--help'], standalone_mode=False)",
    ],
)
def test_import_brings_in_nothing_heavy(code: str) -> None:
    assert not HEAVY & _imported_by(code)


def test_a_plugin_that_wants_hookimpl_pays_for_pluggy_alone() -> None:
    third_party = _imported_by("from trialrun_hookspecs import hookimpl") - _imported_by("import pluggy")
    assert third_party == {"trialrun_hookspecs"}


def test_the_tutorial_plugin_needs_python_alone() -> None:
    assert not {*HEAVY, "numpy", "pluggy", "trialrun"} & _imported_by("import trialrun_reference.pure")


def test_the_search_algorithms_need_no_ray() -> None:
    assert "ray" not in _imported_by("import trialrun.search.base, trialrun.search.hyperopt, trialrun.space")
