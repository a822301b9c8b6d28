"""`trialrun top`: the live view of a run that another process works on."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import click

from trialrun.cli.lines import LineView
from trialrun.cli.text import clean, truncate
from trialrun.cli.views import can_redraw
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun.recordings import Study

__all__ = ["command", "follow_study"]

_CUT_OFF_S = 3.0  # how long nobody may hold the run before that is said: a run begins before it takes its lock


@click.command("top", context_settings={"show_default": True})
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--interval", type=click.FloatRange(min=0.05), default=0.5, help="Seconds between two looks.")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
def command(path: str, interval: float, job: int | None) -> None:
    """Watch the run in DIR, until it ends, or q or Ctrl-C.

    The recording is only read. Where stdout is no terminal, plain lines are printed as `trialrun run` does.
    """
    from trialrun.recordings import open_study

    with open_study(path, job) as study, _watch_keys() as wait:
        view = _create_view()
        try:
            said = follow_study(study, view, lambda: wait(interval))
        except KeyboardInterrupt:
            said = ""
        finally:
            view.close()
        if said:
            click.echo(said)


def follow_study(
    study: Study, view: View, wait: Callable[[], bool], clock: Callable[[], float] = time.monotonic
) -> str:
    """Show a study through `view` until it ends, and give what there is to say then.

    `wait` passes the time until the next look; True means that the user has seen enough.
    """
    from trialrun.cli.job_state import JobState
    from trialrun.recordings.following import StudyFollower
    from trialrun.recordings.state import read_state
    from trialrun.run_dir.lock import is_locked

    state = read_state(study, datetime.now(UTC))
    metric, mode = study.get_objective()
    view.board = JobState(metric, mode, _total_trials(state.phases, metric))
    began = datetime.fromisoformat(state.started)
    ended = datetime.fromisoformat(state.heard) if state.is_over else datetime.now(UTC)
    view.set_elapsed((ended - began).total_seconds())
    view.show_heading([f"{truncate(clean(state.name), 60)}: job {state.job_id}, {clean(study.folder)}"], [])
    following = StudyFollower(study)
    free_since: float | None = None
    while True:
        for event in following.read_new_events(datetime.now(UTC)):
            view.on_event(event)
            if event.kind == "progress" and event.data["category"] == "trials" and metric is not None:
                view.board.total = int(event.data["total"])
        if following.over:
            status = str(study.read_job_facts()["status"]).lower()
            return (
                f"{truncate(clean(state.name), 60)}: {clean(status)}. `trialrun show {clean(study.folder)}` says more"
            )
        free_since = None if is_locked(study.folder) is not False else free_since or clock()
        if free_since is not None and clock() - free_since >= _CUT_OFF_S:
            return f"no process works on it any more; `trialrun resume {clean(study.folder)}` goes on"
        if wait():
            return ""


def _total_trials(phases: dict[str, tuple[float, float]], metric: str | None) -> int | None:
    return int(phases["trials"][1]) if metric is not None and "trials" in phases else None


class _StdoutView(LineView):
    """Lines on stdout, where they are what was asked for, with the times of what they tell."""

    def __init__(self) -> None:
        super().__init__(stamp=lambda: f"{self._at:%H:%M:%S}")
        self._at = datetime.now().astimezone()

    def on_event(self, event: Event) -> None:
        self._at = datetime.fromisoformat(event.time).astimezone()
        super().on_event(event)

    def write(self, line: str) -> None:
        click.echo(line)


def _create_view() -> View:
    if can_redraw(sys.stdout):
        from rich.console import Console

        from trialrun.cli.live import LiveView

        return LiveView(console=Console(highlight=False))
    return _StdoutView()


@contextlib.contextmanager
def _watch_keys() -> Iterator[Callable[[float], bool]]:
    """What waits so many seconds, and ends sooner with True when q is pressed; keys are not echoed meanwhile."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield _sleep_for
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield lambda seconds: _wait_for_quit(sys.stdin, seconds)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _sleep_for(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _wait_for_quit(keys: TextIO, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([keys], [], [], left)[0]:
            pressed = os.read(keys.fileno(), 64)
            if not pressed or b"q" in pressed.lower():
                return True
    return False
