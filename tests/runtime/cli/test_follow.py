"""`trialrun show --follow` follows a run that another process works on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trialrun.cli.follow import follow_study
from trialrun.cli.views import View
from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun_hookspecs.event import Event

from ..recordings.some_study import row, send, small  # noqa: TID252  # the studies of both folders are the same
from .conftest import Called
from .test_live import HIDE, SHOW, Terminal


class Seen(View):
    """A view that keeps its events."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.events: list[Event] = []

    def show_event(self, event: Event) -> None:
        self.events.append(event)


def status(recorder: Recorder, word: str) -> None:
    assert recorder.handle("PATCH", "jobs/1", body=json.dumps({"status": word}).encode()).status == 200


def test_new_events_are_shown(tmp_path: Path) -> None:
    folder, view = small(tmp_path, status="RUNNING"), Seen()
    with Recorder(folder / "recorder.sqlite") as recorder, open_study(folder) as study:
        steps: Iterator[Callable[[], None]] = iter(
            [
                lambda: send(recorder, row("d", "RUNNING", {"rate": 1, "kind": "x"}, {"loss": 0.01})),
                lambda: status(recorder, "SUCCEEDED"),
            ]
        )

        def wait() -> bool:
            next(steps)()
            return False

        message = follow_study(study, view, wait)
    assert "succeeded" in message
    assert list(view.state.trials) == ["a", "b", "c", "d"]
    best = view.state.find_best()
    assert best is not None
    assert best.trial_id == "d"
    assert view.state.total == 3
    assert [event.kind for event in view.events].count("message") == 1


def test_it_ends_when_the_user_quits(tmp_path: Path) -> None:
    with open_study(small(tmp_path, status="RUNNING")) as study:
        assert follow_study(study, Seen(), lambda: True) == ""


def test_a_killed_run_ends_the_view(tmp_path: Path) -> None:
    folder = small(tmp_path, status="RUNNING")
    (folder / "lock").touch()
    times = iter(range(100))
    with open_study(folder) as study:
        message = follow_study(study, Seen(), lambda: False, clock=lambda: float(next(times)))
    assert "trialrun resume" in message


def test_the_progress_of_another_client_is_shown(tmp_path: Path) -> None:
    view = Seen()
    with open_study(small(tmp_path, status="RUNNING")) as study:
        follow_study(study, view, lambda: True)
    assert view.state.overall == pytest.approx(0.5)
    assert view.state.eta_s == pytest.approx(60, abs=55)


def test_lines_are_printed_where_there_is_no_terminal(called: Called, tmp_path: Path) -> None:
    result = called("show", "--follow", small(tmp_path / "r"))
    assert result.exit_code == 0
    assert "trial a ended: loss 0.3333" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("a study: succeeded")


def test_what_no_table_fits_is_left_out(tmp_path: Path) -> None:
    folder = small(tmp_path)
    with Recorder(folder / "recorder.sqlite") as recorder:
        send(
            recorder,
            {"event": "trials", "data": {"trials": []}},
            {"event": "message", "data": 3},
            {"event": "progress"},
        )
        send(recorder, {"event": "metric", "data": {"category": "x"}}, {"event": "trials_delta", "data": {"base": 1}})
    with open_study(folder) as study:
        assert "succeeded" in follow_study(study, Seen(), lambda: True)


@pytest.mark.parametrize("by", ["q", "Ctrl-C"])
def test_the_live_view_is_left_clean(by: str, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = small(tmp_path / "r", status="RUNNING")
    command = [sys.executable, "-m", "trialrun", "show", "--follow", str(folder)]
    terminal = Terminal(command, tmp_path, environment, 24, 100)
    try:
        terminal.until("best so far")
        if by == "q":
            os.write(terminal._ours, b"q")
        else:
            terminal.process.send_signal(signal.SIGINT)
        terminal.until(None)
        assert terminal.process.wait(30) == 0
        assert terminal.text.rindex(SHOW) > terminal.text.rindex(HIDE)
        assert "Traceback" not in terminal.text
    finally:
        terminal.close()
