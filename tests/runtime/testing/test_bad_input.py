"""Whatever a plugin is or does, it gets a verdict in time, of the check that is there for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from trialrun.testing.harness import check_plugin
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.verdicts import Verdict

HEAD = """
import os, sys
from pathlib import Path
conformance = {"capabilities": []}
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
"""
END = """
    run.log_metric("train", "loss", 0.5)
    Path(run.checkpoint_output).write_text("1")
    return run.checkpoint_output
"""


ELSEWHERE = Path("/var/tmp") / f"trialrun-{uuid4().hex}"  # in no folder that a run may write to


@pytest.fixture(autouse=True)
def _cleared() -> Iterator[None]:
    yield
    ELSEWHERE.unlink(missing_ok=True)


def doing(line: str) -> str:
    return f"{HEAD}    {line}{END}"


@pytest.mark.parametrize(
    ("text", "check"),
    [
        pytest.param(doing("os.fork()"), "TR217", id="forks"),
        pytest.param(doing("os._exit(0)"), "TR201", id="exits"),
        pytest.param(doing("print('x' * 5_000_000)"), "TR405", id="prints megabytes"),
        pytest.param(
            doing(f"Path({str(ELSEWHERE)!r}).write_text(str(os.urandom(8)))"), "TR218", id="writes everywhere"
        ),
        pytest.param("import ray\nray.init = print\n" + doing("pass"), "TR111", id="patches Ray"),
        pytest.param(doing("import ray; ray.init(num_cpus=1, include_dashboard=False)"), "TR201", id="starts Ray"),
        pytest.param("raise RuntimeError('no')", "TR101", id="raises on import"),
        pytest.param("import no_such_library", "TR101", id="needs a library"),
        pytest.param("\0\1binary", "TR101", id="no text"),
        pytest.param("", "TR102", id="empty"),
    ],
)
def test_it_gets_a_verdict_in_time(text: str, check: str, sandboxes: SandboxPool, tmp_path: Path) -> None:
    path = tmp_path / "plugin_of_a_kind.py"
    path.write_text(text, encoding="utf-8")
    started = time.monotonic()
    report = check_plugin(path, select=["TR1", "TR201", "TR217", "TR218", "TR405"], config=False, sandboxes=sandboxes)
    assert time.monotonic() - started < 60
    assert check in [outcome.id for outcome in report.of(Verdict.FAIL)]
    assert report.of(Verdict.ERROR) == ()
    assert report.exit_code == 1


@pytest.mark.parametrize("name", ["notes.txt", "folder"])
def test_what_is_no_plugin_at_all_does_not_load(name: str, sandboxes: SandboxPool, tmp_path: Path) -> None:
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("hello", encoding="utf-8")
    report = check_plugin(path, select=["TR1"], config=False, sandboxes=sandboxes)
    assert [outcome.id for outcome in report.of(Verdict.FAIL)] == ["TR101"]
    assert report.exit_code == 1
