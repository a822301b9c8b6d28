"""The sandbox stands, whatever a plugin does to the processes around it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialrun.testing.sandbox import Sandbox, SandboxBroken, Scenario
from trialrun.testing.sandbox_pool import SandboxPool

from .conftest import RunPlugin, Write

GOOD = """
    from pathlib import Path
    def train(run, dataset, hyperparameter, checkpoint, **kwargs):
        run.log_metric("train", "loss", 0.5)
        Path("model.txt").write_text("1")
        return "model.txt"
"""


def doing(line: str) -> str:
    """A good plugin that does this first."""
    return f"""
    import os, signal, subprocess, sys, threading, time
    from pathlib import Path
    def train(run, dataset, hyperparameter, checkpoint, **kwargs):
        {line}
        run.log_metric("train", "loss", 0.5)
        Path("model.txt").write_text("1")
        return "model.txt"
    """


@pytest.fixture(autouse=True)
def _still_stands(sandboxes: SandboxPool, write: Write) -> Iterator[None]:
    """After every test, the same sandbox plays a good plugin well."""
    yield
    path = write(GOOD, "good.py")
    rows = [{"category": "train", "data": {"x": 1}}]
    assert sandboxes.run(Scenario(kind="train", plugin=str(path), dataset=rows)).ok


def test_a_good_plugin_ends_with_a_result_and_an_artifact(run_plugin: RunPlugin) -> None:
    observation = run_plugin(GOOD)
    assert observation.ok
    assert observation.result is not None
    assert observation.artifact_path is not None
    assert observation.artifact_path.name == "model.txt"
    assert [call["name"] for call in observation.calls if ":" not in call["name"]] == ["log_metric"]


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(60)",
        "threading.Event().wait()",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]; time.sleep(60)",
    ],
)
def test_a_plugin_that_hangs_times_out(run_plugin: RunPlugin, line: str) -> None:
    started = time.monotonic()
    observation = run_plugin(doing(line), timeout_s=1.5)
    assert observation.timed_out
    assert not observation.has_ended
    assert time.monotonic() - started < 8


def test_a_hang_is_located_in_the_plugin(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("time.sleep(60)"), timeout_s=1.5)
    assert observation.hang_location is not None
    assert observation.hang_location[0].endswith("plugin_on_the_spot.py")
    assert observation.load_facts["name"] == "plugin_on_the_spot"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.killpg(0, signal.SIGKILL)", -9),
        ("os.killpg(os.getpgrp(), signal.SIGTERM); time.sleep(9)", -15),
        ("import ctypes; ctypes.string_at(0)", -11),
    ],
)
def test_a_plugin_that_ends_its_process_died(run_plugin: RunPlugin, line: str, code: int) -> None:
    observation = run_plugin(doing(line))
    assert observation.has_crashed
    assert observation.exit_code == code
    assert not observation.timed_out


def test_a_plugin_that_kills_its_parent_died(run_plugin: RunPlugin) -> None:
    assert not run_plugin(doing("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"), timeout_s=3).has_ended


def test_a_plugin_that_asks_its_parent_to_end_is_not_heard(run_plugin: RunPlugin) -> None:
    assert run_plugin(doing("os.kill(os.getppid(), signal.SIGTERM)")).ok


def test_processes_that_are_left_are_named_and_ended(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("subprocess.Popen(['sleep', '987'], start_new_session=True)"))
    assert observation.ok
    assert observation.processes_left == ("sleep 987",)
    assert not any("sleep\x00987" in command for command in _commands())


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return found


def test_a_fork_that_comes_back_writes_no_second_scene(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("os.fork()"))
    assert observation.has_ended
    assert observation.facts["pid"] != os.getpid()


def test_threads_that_are_left_are_named(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("threading.Thread(target=time.sleep, args=(60,), name='mine').start()"))
    assert observation.ok
    assert observation.hook_calls[0]["threads_left"] == ["mine"]


def test_megabytes_of_output_stay_out_of_the_parent(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("[os.write(1, b'x' * 2**20) for _ in range(20)]"))
    assert observation.ok
    assert observation.output_bytes >= 20 * 2**20
    assert len(observation.stdout) < 10**6


def test_what_is_written_elsewhere_is_seen(run_plugin: RunPlugin, tmp_path: Path) -> None:
    observation = run_plugin(doing(f"Path({str(tmp_path)!r}, 'elsewhere').write_text('x')"))
    [found] = observation.files_outside
    assert found["path"] == str(tmp_path / "elsewhere")
    assert found["where"][1] == 5
    assert found["phase"] == "run"


def test_temporary_files_are_inside(run_plugin: RunPlugin) -> None:
    assert run_plugin(doing("import tempfile; tempfile.mkdtemp()")).files_outside == []


def test_connections_to_other_machines_are_seen(run_plugin: RunPlugin) -> None:
    connect = "import socket; s = socket.socket(); s.settimeout(0.05); s.connect_ex(('192.0.2.77', 9)); s.close()"
    assert "192.0.2.77" in run_plugin(doing(connect)).network_events[0]["address"]


def test_what_is_patched_is_seen(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("import json; json.dumps = lambda *a, **k: '{}'"))
    assert "json.dumps" in observation.state_changes["run"]


def test_changes_of_the_environment_are_seen(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("os.environ['MINE'] = '1'"))
    assert observation.environment_changes["run"] == {"MINE": [None, "1"]}


def test_an_error_while_importing_is_the_plugins(run_plugin: RunPlugin) -> None:
    observation = run_plugin("raise RuntimeError('no')\n", "load")
    assert observation.has_ended
    assert observation.error is not None
    assert observation.error.type == "RuntimeError"
    assert observation.error.where is not None
    assert observation.error.where[1] == 1


def test_what_is_no_plugin_is_told_of(run_plugin: RunPlugin, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    observation = run_plugin(str(tmp_path / "notes.txt"), "load")
    assert observation.error is not None
    assert observation.error.type == "PluginAbsent"


def test_the_error_is_the_plugins_own_with_its_line(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("raise KeyError('epochs')"))
    assert observation.error is not None
    assert (observation.error.type, observation.error.where and observation.error.where[1]) == ("KeyError", 5)


def test_a_trial_of_a_generator_is_written_down(run_plugin: RunPlugin) -> None:
    observation = run_plugin(
        """
        def train(run, dataset, hyperparameter, checkpoint): ...
        def tune(hyperparameter, run, dataset, checkpoint):
            yield {"loss": 2.0}
            yield {"loss": 1.0}
        """,
        "tune",
    )
    assert [hook["yields"] for hook in observation.hook_calls] == [2, 2]
    assert [report["metrics"]["loss"] for report in observation.reports()] == [2.0, 1.0, 2.0, 1.0]


def test_interrupts_reach_the_plugin_at_the_call_that_is_asked_for(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("run.log_message('one')"), interrupt_at=2)
    assert observation.calls[-1]["name"] == "log_metric"
    assert observation.calls[-1]["raised"].startswith("KeyboardInterrupt")
    assert observation.error is not None
    assert observation.error.type == "JobInterrupted"


def test_a_full_disk_is_an_error_at_the_write(run_plugin: RunPlugin) -> None:
    observation = run_plugin(doing("Path('big').write_bytes(b'x' * 10_000)"), disk=1_000)
    assert observation.error is not None
    assert observation.error.type == "OSError"


def test_a_closed_stage_says_so() -> None:
    sandbox = Sandbox()
    sandbox.close()
    with pytest.raises(SandboxBroken, match="closed"):
        sandbox.start()


def test_closing_a_stage_leaves_no_process(write: Write) -> None:
    with Sandbox() as sandbox:
        sandbox.start()
        folder = sandbox.folder
    assert not folder.exists()
