"""The live view fits the terminal and leaves it clean."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from trialrun import events
from trialrun.cli.job_state import JobState
from trialrun.cli.live import LiveView
from trialrun.trials import TrialReported, TrialStarted, TrialStatusChanged, TrialTable

ROOT = Path(__file__).resolve().parents[3]
LINE = ROOT / "examples" / "line.csv"
SLOW = """
import time

def train(run, dataset, hyperparameter, checkpoint):
    for step in range(1, 21):
        time.sleep(hyperparameter.get("seconds", 2.0) / 20)
        run.log_metric("train", "loss", 1 / step, epoch=step)
        run.set_progress(step, 20, "train")
    open("model", "w").write("x")
    return "model"

def tune(hyperparameter, run, dataset, checkpoint):
    print("printed by a trial")
    run.log_message("trial says hello")
    run.checkpoint_output = train(run, dataset, {"seconds": 0.02}, checkpoint)
    return {"score": hyperparameter["x"], "loss": 1}
"""
SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
REDRAWN = re.compile(r"(?:\x1b\[1A\x1b\[2K)+")
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A process with a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], rows: int, columns: int) -> None:
        self._ours, theirs = os.openpty()
        self.resize(rows, columns)
        given = {"TERM": "xterm-256color", **environment}
        self.process = subprocess.Popen(
            command, cwd=folder, env=given, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._read = b""

    @property
    def text(self) -> str:
        return self._read.decode(errors="replace")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted: str | None, seconds: float = 60.0) -> str:
        """Read until `wanted` is there, or to the end when None; give what was read since the call."""
        start, limit = len(self.text), time.monotonic() + seconds
        while wanted is None or wanted not in self.text[start:]:
            ready, _, _ = select.select([self._ours], [], [], max(limit - time.monotonic(), 0))
            assert ready, f"not within {seconds} s; there is: {self.text[-2000:]}"
            try:
                self._read += os.read(self._ours, 65536)
            except OSError:  # the other end is closed
                assert wanted is None, self.text[-2000:]
                break
        return self.text[start:]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._ours)


Opened = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Opened]:
    """Run a job with the slow plugin in a terminal."""
    opened: list[Terminal] = []
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")

    def run(job: Path, *, rows: int = 24, columns: int = 100, **more: str) -> Terminal:
        options = ["--plugin", "./slow.py", "--dataset", f"1={LINE}", "--executor", "inline"]
        command = [sys.executable, "-m", "trialrun", "run", str(job), *options]
        opened.append(Terminal(command, tmp_path, {**environment, **more}, rows, columns))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def _tuning_of(count: int) -> dict[str, Any]:
    return {"name": "x", "type": "grid_search", "options": [n / 8 for n in range(count)]}


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in SEQUENCES.sub("", text).replace("\r", "\n").split("\n") if line.strip()]


def test_a_study_is_drawn_within_the_terminal(terminal: Opened, tuning) -> None:
    there = terminal(tuning(_tuning_of(30), name="[bold]bold[/bold]"), rows=14, columns=70)
    text = there.until(None)
    assert there.process.wait(timeout=30) == 0
    frames = [len(match.group()) // len("\x1b[1A\x1b[2K") + 1 for match in REDRAWN.finditer(text)]
    assert len(frames) > 2
    assert max(frames) <= 14
    lines = _lines(text)
    assert any(line.startswith("[bold]bold[/bold]: job 1, 30 trials, seed ") for line in lines)
    assert any(re.match(r"\s+trial\s+status\s+score\s+x\s+loss$", line) for line in lines)
    assert any(re.match(r"★ +\w+_00029 +TERMINATED +3.625 +3.625 +1$", line) for line in lines)
    assert any("100 %  30 of 30 trials" in line for line in lines)
    assert "printed by a trial" in lines
    assert "[bold]bold[/bold]: succeeded in" in text[text.rindex(SHOW) :]


def test_the_terminal_is_left_as_it_was(terminal: Opened, training) -> None:
    there = terminal(training({"seconds": 0.5}))
    text = there.until(None)
    assert there.process.wait(timeout=30) == 0
    assert text.count(HIDE) == text.count(SHOW) > 0
    assert text.rindex(HIDE) < text.rindex(SHOW)
    assert not SEQUENCES.search(text[text.rindex(SHOW) + len(SHOW) :])
    assert any(re.match(r"train/loss +0\.05 +epoch 20$", line) for line in _lines(text))


def test_the_view_follows_a_terminal_that_shrinks(terminal: Opened, training) -> None:
    there = terminal(training({"seconds": 2.0}), columns=100)
    there.until("left")
    there.resize(24, 48)
    there.until("\x1b[1A")  # a frame may have been under way
    there.until("\x1b[1A")
    after = there.until(None)
    drawn = after[: after.rindex(SHOW)]
    assert max(cell_len(line) for line in _lines(drawn)) <= 48
    assert there.process.wait(timeout=30) == 0


def test_an_interrupt_leaves_the_terminal_clean(terminal: Opened, training) -> None:
    there = terminal(training({"seconds": 50.0}))
    there.until("epoch 1")
    there.process.send_signal(signal.SIGINT)
    text = there.until(None)
    assert there.process.wait(timeout=30) == 130
    assert text.rindex(SHOW) > text.rfind(HIDE)
    assert "Traceback" not in text
    assert text.rstrip().splitlines()[-1].startswith("results so far: ")


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(name: str, terminal: Opened, training) -> None:
    there = terminal(training({"seconds": 0.1}), TERM=name)
    text = there.until(None)
    assert not SEQUENCES.search(text)
    assert re.search(r"\d\d:\d\d:\d\d train 100%", text)


def _view(width: int, height: int) -> tuple[LiveView, StringIO]:
    out = StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None, highlight=False)
    return LiveView(clock=lambda: 10.0, console=console), out


@given(st.integers(0, 40), st.integers(0, 6), st.integers(30, 150), st.integers(8, 60))
def test_a_frame_is_never_larger_than_the_terminal(trials: int, messages: int, width: int, height: int) -> None:
    view, out = _view(width, height)
    view.state = JobState("score", "max", 40)
    table = TrialTable("score", ["x"])
    for number in range(trials):
        table.apply(TrialStarted(trial_id=f"abcde_{number:05d}", config={"x": "word " * 9}))
        table.apply(TrialReported(trial_id=f"abcde_{number:05d}", metrics={"score": number}))
        table.apply(TrialStatusChanged(trial_id=f"abcde_{number:05d}", status="RUNNING"))
    if trials:
        view.on_event(events.trials_event(table.snapshot()))
    for number in range(messages):
        view.on_event(events.message_event(f"message {number}\n" + "long " * 80, "warning"))
    view.on_event(events.progress_event("trials", trials, 40, trials / 40, 100.0))
    view._console.print(view)
    shown = out.getvalue().splitlines()
    assert len(shown) < height
    assert max(cell_len(line) for line in shown) <= width
    assert f" {int(trials / 40 * 100)} %" in shown[-1]


def test_markup_of_a_plugin_is_shown_as_it_is() -> None:
    view, out = _view(100, 20)
    view.on_event(events.message_event("[red]no[/red] [/nothing] \x1b[2J", "danger"))
    view.warn("[blink]x[/blink]")
    view._console.print(view)
    assert "[red]no[/red] [/nothing] \\x1b[2J" in out.getvalue()
    assert "warning: [blink]x[/blink]" in out.getvalue()
