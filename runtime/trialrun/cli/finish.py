"""The frame of the commands that run a job: choose a view, print the result, set the exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from trialrun.cli.output import print_json
from trialrun.cli.streams import reserve_stdout, silence_output
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import TrialrunError, UsageError

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["create_view", "run_and_report"]


def run_and_report(run: Callable[[View], JobResult], *, as_json: bool, quiet: bool, fail_on_trial_error: bool) -> None:
    """Call `run`, which runs a job, and print its result. Exits with 1 for failed trials where that was asked for."""
    from trialrun.cli.summary import format_trial_failures

    view = create_view(quiet=quiet)
    try:
        with (
            reserve_stdout() if as_json else contextlib.nullcontext(),
            silence_output() if quiet else contextlib.nullcontext(),
        ):
            result = run(view)
    except TrialrunError as error:
        if as_json and not isinstance(error, UsageError):
            _print_result_file(view)
        raise
    _print_result(view, result, as_json=as_json, quiet=quiet)
    failures = format_trial_failures(result)
    if failures and (fail_on_trial_error or as_json) and not (quiet and not fail_on_trial_error):
        click.echo("\n".join(failures), err=True)
    if failures and fail_on_trial_error:
        click.get_current_context().exit(1)


def create_view(*, quiet: bool) -> View:
    """Return the view that fits stderr: a live table on a terminal, else lines; nothing when `quiet`."""
    from trialrun.cli.views import QuietView, can_redraw

    if quiet:
        return QuietView()
    if can_redraw(sys.stderr):
        from trialrun.cli.live import LiveView

        return LiveView()
    from trialrun.cli.lines import LineView

    return LineView()


def _print_result(view: View, result: JobResult, *, as_json: bool, quiet: bool) -> None:
    from trialrun.cli.summary import format_summary

    if as_json:
        print_json(result.model_dump(mode="json"))
    elif not quiet:
        state = view.state
        lines = format_summary(
            result, name=view.name, elapsed=view.seconds_elapsed, trials=len(state.trials), metric=state.metric
        )
        click.echo("\n".join(lines))


def _print_result_file(view: View) -> None:
    """Print the result of a job that failed: it was written before the error was raised."""
    path = None if view.results is None else view.results / layout.RESULT
    if path is not None and path.exists():
        click.echo(path.read_text(encoding="utf-8").rstrip())
