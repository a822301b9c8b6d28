"""The base of all views of a running job: its state, its heading, and how it opens and closes."""

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
from trialrun.cli.text import clean, format_name
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from pathlib import Path

    from trialrun.engine.runner import JobStarted

__all__ = ["QuietView", "View", "can_redraw", "format_heading", "format_local_time", "use_view"]

_MAX_WARNINGS = 20


class View:
    """An observer of a job, called from the engine's threads; output that cannot be written is dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = JobState()
        self.results: Path | None = None
        self.name = ""
        self.clock = clock
        self._started = clock()
        self._lock = threading.RLock()
        self._reader_left = False

    @property
    def seconds_elapsed(self) -> float:
        """The seconds since the job started, or since the view was created."""
        return self.clock() - self._started

    def set_elapsed(self, seconds: float) -> None:
        """Set how many seconds ago the job started."""
        self._started = self.clock() - seconds

    def on_job_start(self, job: JobStarted) -> None:
        """Take the job's objective and results folder, and show its heading; called before the job runs."""
        params = job.prepared.request.params
        config = params.tune_config
        self.results, self.name = job.results, params.name
        failures.set_results_dir(job.results)
        with self._lock:
            if config is not None:
                self.state = JobState(config.metric, config.mode, job.prepared.total)
            self.show_heading(format_heading(job), list(job.prepared.advice))

    def on_event(self, event: Event) -> None:
        """Apply an event and show it."""
        with self._lock:
            self.state.apply_event(event)
            self.show_event(event)

    def warn(self, message: str) -> None:
        """Show a warning, before, during or after the job."""

    def prepare(self) -> None:
        """Show that the job is being checked: this takes seconds where it imports libraries."""

    def show_heading(self, heading: list[str], advice: list[str]) -> None:
        """Show the lines of `heading`, then the warnings of `advice`."""

    def show_event(self, event: Event) -> None:
        """Show an event, which `state` includes already."""

    def close(self) -> None:
        """Write what is pending and restore the terminal."""

    def write(self, line: str) -> None:
        """Write a line to stderr. A reader that left, such as `head`, must not end the job."""
        if not self._reader_left:
            try:
                click.echo(line, err=True)
            except OSError:
                self._reader_left = True


class QuietView(View):
    """A view that shows nothing."""


def can_redraw(stream: TextIO) -> bool:
    """Return whether `stream` is a terminal that can move its cursor, as the live view needs."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def format_heading(job: JobStarted) -> list[str]:
    """Return the lines that name the job, its results folder and its backend or recorder."""
    prepared, params = job.prepared, job.prepared.request.params
    trials = "training" if prepared.total is None else f"{prepared.total} trial{'s' * (prepared.total != 1)}"
    lines = [f"{format_name(params.name)}: job {job.job_id}, {trials}, seed {prepared.seed}"]
    lines.append(f"results   {clean(job.results)}")
    if not job.token:
        return [*lines, f"backend   {clean(job.url)}"]
    return [*lines, f"recorder  {job.url}  token {job.token}", f"web UI    {job.url}ui/?token={job.token}"]


@contextlib.contextmanager
def use_view(view: View) -> Iterator[None]:
    """Show the block through `view`, Python's warnings included, and close the view at the end."""
    import warnings

    before = warnings.showwarning
    shown: set[str] = set()

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = f"{category.__name__}: {message}"
        if text not in shown and len(shown) < _MAX_WARNINGS:
            shown.add(text)
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
    """Return the local time as HH:MM:SS."""
    return datetime.now().astimezone().strftime("%H:%M:%S")
