"""The live view of a run that another process works on."""

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
from trialrun.cli.text import clean, format_name
from trialrun.cli.views import can_redraw
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun.recordings import Study

__all__ = ["follow_recording", "follow_study"]

_INTERRUPTED_S = 3.0  # how long the lock may be free before the run counts as interrupted: it starts before it locks


def follow_recording(path: str, job: int | None, interval: float) -> None:
    """Show the run at `path` until it ends, or until q or Ctrl-C; read it every `interval` seconds.

    Raises UsageError: there is no recording, it is empty, or it has no such job.
    """
    from trialrun.recordings import open_study

    with open_study(path, job) as study, _watch_keys() as wait:
        view = _create_view()
        try:
            ending = follow_study(study, view, lambda: wait(interval))
        except KeyboardInterrupt:
            ending = ""
        finally:
            view.close()
        if ending:
            click.echo(ending)


def follow_study(
    study: Study, view: View, wait: Callable[[], bool], clock: Callable[[], float] = time.monotonic
) -> str:
    """Show a study through `view` until it ends, and return the line to print then.

    `wait` sleeps until the next look; True means that the user quits, and the line is empty.
    """
    from trialrun.cli.job_state import JobState
    from trialrun.recordings.following import StudyFollower
    from trialrun.recordings.state import read_state
    from trialrun.run_dir.lock import is_locked

    state = read_state(study, datetime.now(UTC))
    metric, mode = study.get_objective()
    view.state = JobState(metric, mode, _count_trials(state.phases, metric))
    started = datetime.fromisoformat(state.started)
    ended = datetime.fromisoformat(state.heard) if state.is_over else datetime.now(UTC)
    view.set_elapsed((ended - started).total_seconds())
    folder = clean(study.folder)
    view.show_heading([f"{format_name(state.name)}: job {state.job_id}, {folder}"], [])
    follower = StudyFollower(study)
    free_since: float | None = None
    while True:
        for event in follower.read_new_events(datetime.now(UTC)):
            view.on_event(event)
            if event.kind == "progress" and event.data["category"] == "trials" and metric is not None:
                view.state.total = int(event.data["total"])
        if follower.over:
            status = str(study.read_job_facts()["status"]).lower()
            return f"{format_name(state.name)}: {clean(status)}. See the results with `trialrun show {folder}`"
        free_since = None if is_locked(study.folder) is not False else free_since or clock()
        if free_since is not None and clock() - free_since >= _INTERRUPTED_S:
            return f"interrupted: no process runs it; resume it with `trialrun resume {folder}`"
        if wait():
            return ""


def _count_trials(phases: dict[str, tuple[float, float]], metric: str | None) -> int | None:
    return int(phases["trials"][1]) if metric is not None and "trials" in phases else None


class _StdoutView(LineView):
    """Lines on stdout, each with the time of its event."""

    def __init__(self) -> None:
        super().__init__(stamp=lambda: f"{self._event_time:%H:%M:%S}")
        self._event_time = datetime.now().astimezone()

    def on_event(self, event: Event) -> None:
        self._event_time = datetime.fromisoformat(event.time).astimezone()
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
    """Yield a function that sleeps for some seconds and returns True as soon as q is pressed; keys are not echoed."""
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
    while (remaining := end - time.monotonic()) > 0:
        if select.select([keys], [], [], remaining)[0]:
            pressed = os.read(keys.fileno(), 64)
            if not pressed or b"q" in pressed.lower():
                return True
    return False
