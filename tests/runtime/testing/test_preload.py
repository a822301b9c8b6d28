"""A plugin's libraries are imported once where that makes no difference, and its own code again each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.testing.observation import Observation
from trialrun.testing.preload import select_shareable
from trialrun.testing.sandbox import Sandbox, Scenario
from trialrun.testing.sandbox_pool import SandboxPool

from .conftest import Write

ROWS = [{"category": "train", "data": {"x": 1}}]
SLOW = """
    import time
    import numpy
    time.sleep(0.6)
    DRAWN = float(numpy.random.random())
    def train(run, dataset, hyperparameter, checkpoint, **kwargs):
        run.log_metric("train", "loss", DRAWN)
        with open("model.txt", "w") as file:
            file.write(str(numpy.linalg.norm(numpy.ones((300, 300)) @ numpy.ones((300, 300)))))
        return "model.txt"
"""


def train(sandbox: Sandbox | SandboxPool, path: Path) -> Observation:
    return sandbox.run(Scenario(kind="train", plugin=str(path), dataset=ROWS))


def test_installed_libraries_are_shared() -> None:
    import click.core

    assert select_shareable(["json", "click", "click.core", "no_module", "trialrun.engine"], "plugin") == [
        "click",
        "click.core",
    ]
    assert click.core.__name__ == "click.core"


def test_what_was_installed_with_the_plugin_is_its_own() -> None:
    import click

    assert select_shareable(["_pytest.main", "pytest", click.__name__], "pytest.anything") == ["click"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import threading; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "starts threads"),
        ("import _thread; _thread.start_new_thread(time.sleep, (60,))", "starts threads"),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "changes signal SIGTERM"),
        ("import os; os.environ['CUDA_VISIBLE_DEVICES'] = '0'", "changes CUDA_VISIBLE_DEVICES"),
        ("import random; random.random = print", "changes random.random"),
        ("import os; os.environ['SOMEBODYS_OWN'] = '0'", ""),
        ("import numpy", ""),
        ("raise RuntimeError", ""),
    ],
)
def test_a_library_that_a_fork_would_break_is_not_shared(
    line: str, reason: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write(f"import time\n{line}\n", "a_library.py").parent)
    with Sandbox(libraries=["a_library"]) as sandbox:
        unfit = sandbox.get_unfit_reason()
    assert (reason in unfit) if reason else unfit == ""


def test_a_plugin_whose_import_is_slow_finds_its_libraries_imported(sandboxes: SandboxPool, write: Write) -> None:
    path = write(SLOW)
    assert not sandboxes.is_warm(str(path))
    first = sandboxes.run(Scenario(kind="load", plugin=str(path)))
    assert "numpy" in first.modules
    observations = [train(sandboxes, path), train(sandboxes, path)]
    assert sandboxes.is_warm(str(path))
    assert all(observation.ok for observation in observations)
    assert all("numpy" not in observation.modules for observation in observations)
    assert all((observation.import_seconds or 0) > 0.6 for observation in observations), (
        "the plugin itself is imported anew"
    )
    drawn = {observation.find_calls("log_metric")[0]["args"][-1] for observation in observations}
    assert len(drawn) == 2, "what the import draws by chance is not that of the process before"


def test_loading_alone_is_always_seen_from_nothing(sandboxes: SandboxPool, write: Write) -> None:
    path = write(SLOW)
    observations = [sandboxes.run(Scenario(kind="load", plugin=str(path))) for _ in range(2)]
    assert all("numpy" in observation.modules for observation in observations)


def test_a_plugin_whose_import_is_quick_needs_no_other_process(sandboxes: SandboxPool, write: Write) -> None:
    path = write(SLOW.replace("time.sleep(0.6)", "").replace("import numpy\n", "numpy = None\n"))
    sandboxes.run(Scenario(kind="load", plugin=str(path)))
    assert not sandboxes.is_warm(str(path))
