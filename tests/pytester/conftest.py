"""A project with a plugin and checks of every verdict, to run pytest in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PLUGIN = """
from pathlib import Path

conformance = {"hyperparameter": {"epochs": 1}}

def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    run.log_metric("training", "loss", 0.5, epoch=1)
    path = Path(run.checkpoint_output)
    path.write_text("model")
    return path
"""

CHECKS = """
import os
from trialrun.testing import CheckFailed, NotApplicable, Vacuous, check

def _told(**more):
    return dict(clause="-", why="because", fix="mend it", before="-", after="-", **more)

@check(id="TR190", title="passes", **_told())
def passes(context):
    context.note(seen=1)

@check(id="TR191", title="fails", **_told())
def fails(context):
    if os.environ.get("BROKEN"):
        file = context.load().load_facts.get("file") or "plug.py"
        raise CheckFailed("it is broken", where=(file, 6), signature="is broken")

@check(id="TR192", title="sees nothing", **_told())
def sees_nothing(context):
    if os.environ.get("BLIND"):
        raise Vacuous("nothing was seen")

@check(id="TR193", title="does not apply", **_told())
def does_not_apply(context):
    raise NotApplicable("no such thing")

@check(id="TR194", title="errs", **_told())
def errs(context):
    if os.environ.get("BUG"):
        raise KeyError("ours")

@check(id="TR195", title="is extended", level="extended", **_told())
def is_extended(context):
    pass
"""

TEST_FILE = """
from trialrun.testing import conformance
test_conformance = conformance("./plug.py")
"""

INI = """
[pytest]
trialrun_select = TR190 TR191 TR192 TR193 TR194
"""

Ran = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """`plug.py`, checks TR190 to TR195 which the environment can turn red, and nothing selected besides them."""
    pytester.makepyfile(plug=PLUGIN, fake_checks=CHECKS)
    pytester.makeconftest("import fake_checks")
    pytester.makeini(INI + f"pythonpath = {pytester.path}\n")
    return pytester


@pytest.fixture
def ran(project: pytest.Pytester) -> Ran:
    """Run pytest as a user does: in a process of its own, with plugins loaded by their entry points."""

    def run(*args: object) -> pytest.RunResult:
        return project.runpytest_subprocess("-p", "no:randomly", *map(str, args))

    return run
