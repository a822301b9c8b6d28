"""What the commands that run a job do alike: show it, print its result, and exit by it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.streams import reserve_stdout, silence_output
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import TrialrunError, UsageError

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["add_result_options", "create_view", "run_and_report"]

_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="Print the result object alone on stdout."),
    click.option("--quiet", is_flag=True, help="Print nothing but errors (and the result with --json)."),
    click.option("--fail-on-trial-error", is_flag=True, help="Exit with 1 when any trial failed."),
)


def add_result_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command the options of `finish`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_and_report(run: Callable[[View], JobResult], *, as_json: bool, quiet: bool, fail_on_trial_error: bool) -> None:
    """Let `run` run a job, and tell what came of it."""
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
    failed = format_trial_failures(result)
    if failed and (fail_on_trial_error or as_json) and not (quiet and not fail_on_trial_error):
        click.echo("\n".join(failed), err=True)
    if failed and fail_on_trial_error:
        click.get_current_context().exit(1)


def _print_result(view: View, result: JobResult, *, as_json: bool, quiet: bool) -> None:
    from trialrun.cli.summary import format_summary

    if as_json:
        click.echo(json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False))
    elif not quiet:
        board = view.board
        lines = format_summary(
            result, name=view.name, elapsed=view.seconds_elapsed, trials=len(board.trials), metric=board.metric
        )
        click.echo("\n".join(lines))


def _print_result_file(view: View) -> None:
    """A job that ran and failed has a result too."""
    path = None if view.results is None else view.results / layout.RESULT
    if path is not None and path.exists():
        click.echo(path.read_text(encoding="utf-8").rstrip())


def create_view(*, quiet: bool) -> View:
    """Return the view that fits stderr: a live table on a terminal, else lines; nothing when `quiet`."""
    if quiet:
        from trialrun.cli.views import QuietView

        return QuietView()
    from trialrun.cli.views import can_redraw

    if can_redraw(sys.stderr):
        from trialrun.cli.live import LiveView

        return LiveView()
    from trialrun.cli.lines import LineView

    return LineView()
