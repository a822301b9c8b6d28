"""The views of a running job: nothing, lines, or a live table."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

import click

from trialrun.cli import failures
from trialrun.cli.job_state import JobState
from trialrun.cli.text import clean, truncate
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from pathlib import Path

    from trialrun.engine.runner import JobStarted

__all__ = ["NAME_LIMIT", "QuietView", "View", "can_redraw", "format_heading", "format_local_time", "use_view"]

NAME_LIMIT = 60
_MOST_WARNINGS = 20


class View:
    """Looks on while a job runs, from the engine's threads; what it cannot write it leaves out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.board = JobState()
        self.results: Path | None = None
        self.name = ""
        self.clock = clock
        self._started = clock()
        self._lock = threading.RLock()
        self._gone = False

    @property
    def seconds_elapsed(self) -> float:
        """Seconds since the view was made."""
        return self.clock() - self._started

    def set_elapsed(self, seconds: float) -> None:
        """The job has been running for so long already."""
        self._started = self.clock() - seconds

    def on_job_start(self, job: JobStarted) -> None:
        """The job is about to run."""
        params = job.prepared.request.params
        config = params.tune_config
        self.results, self.name = job.results, params.name
        failures.set_results_dir(job.results)
        with self._lock:
            if config is not None:
                self.board = JobState(config.metric, config.mode, job.prepared.total)
            self.show_heading(format_heading(job), list(job.prepared.advice))

    def on_event(self, event: Event) -> None:
        """Something was reported."""
        with self._lock:
            self.board.apply_event(event)
            self.show_event(event)

    def warn(self, text: str) -> None:
        """Say something that the user should know, before, during or after the job."""

    def prepare(self) -> None:
        """Show that the job is being looked at, which takes seconds where libraries are imported."""

    def show_heading(self, heading: list[str], advice: list[str]) -> None:
        """Show what there is to say at the start."""

    def show_event(self, event: Event) -> None:
        """Show what an event changed; the board has it already."""

    def close(self) -> None:
        """Nothing more comes."""

    def write(self, line: str) -> None:
        """A line to stderr. A reader that left, such as `head`, must not end the job."""
        if not self._gone:
            try:
                click.echo(line, err=True)
            except OSError:
                self._gone = True


class QuietView(View):
    """Shows nothing."""


def can_redraw(stream: TextIO) -> bool:
    """Return whether `stream` is a terminal that can move its cursor, as the live view needs."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def format_heading(job: JobStarted) -> list[str]:
    """What a job is, where it can be watched and where its results go."""
    prepared, params = job.prepared, job.prepared.request.params
    trials = "training" if prepared.total is None else f"{prepared.total} trial{'s' * (prepared.total != 1)}"
    lines = [f"{truncate(clean(params.name), NAME_LIMIT)}: job {job.job_id}, {trials}, seed {prepared.seed}"]
    lines.append(f"results   {clean(job.results)}")
    if not job.token:
        return [*lines, f"backend   {clean(job.url)}"]
    return [*lines, f"recorder  {job.url}  token {job.token}", f"page      {job.url}ui/?token={job.token}"]


@contextlib.contextmanager
def use_view(view: View) -> Iterator[None]:
    """Show through `view` what happens in the block, Python's warnings included, and close it at the end."""
    import warnings

    before = warnings.showwarning
    said: set[str] = set()

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = f"{category.__name__}: {message}"
        if text not in said and len(said) < _MOST_WARNINGS:
            said.add(text)
            view.warn(text)

    warnings.showwarning = show_warning
    failures.set_results_dir(None)
    try:
        view.prepare()
        yield
    finally:
        warnings.showwarning = before
        view.close()


def format_local_time() -> str:
    """The local time, for people."""
    return datetime.now().astimezone().strftime("%H:%M:%S")
