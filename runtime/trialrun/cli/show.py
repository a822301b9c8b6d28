"""`trialrun show`: a run as text, as JSON, or live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trialrun.cli.options import add_json_flag, add_study_options
from trialrun.cli.output import print_json
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.cli.study_text import TableOptions

__all__ = ["DEFAULT_INTERVAL_S", "command"]

DEFAULT_INTERVAL_S = 0.5
_DEFAULT_LIMIT = 20


@click.command("show")
@add_study_options
@click.option("--follow", is_flag=True, help="Watch the run live until it ends, or until q or Ctrl-C.")
@add_json_flag("Print one line of JSON.")
@click.option("--sort", metavar="COLUMN", help="Sort by a metric, hyperparameter or fact. Default: the objective.")
@click.option("--descending/--ascending", default=None, help="Set the direction. Default: the best first.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Show at most N trials and N failures; 0: all. Default: {_DEFAULT_LIMIT}, or all with --json.",
)
@click.option("--traceback", is_flag=True, help="Show the end of each failure's traceback.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    metavar="SECONDS",
    help=f"Set the pause between two looks of --follow. Default: {DEFAULT_INTERVAL_S}.",
)
def command(
    path: str,
    job: int | None,
    follow: bool,
    as_json: bool,
    sort: str | None,
    descending: bool | None,
    limit: int | None,
    traceback: bool,
    interval: float | None,
) -> None:
    """Show a run: state, best trial, trials and failures.

    DIR is a results folder; a single recorder.sqlite works too. Nothing is changed, and the run may still be running.
    The exit code is 0 for every status of the run: scripts read `status` of --json.
    """
    table_options = {
        "--json": as_json,
        "--sort": sort is not None,
        "--descending": descending is not None,
        "--limit": limit is not None,
        "--traceback": traceback,
    }
    given = [name for name, is_given in table_options.items() if is_given]
    if follow and given:
        raise UsageError("cannot be combined with --follow", where=", ".join(given), fix="Leave out one or the other.")
    if interval is not None and not follow:
        raise UsageError("needs --follow", where="--interval", got=str(interval), fix="Add --follow.")
    if follow:
        from trialrun.cli.follow import follow_recording

        follow_recording(path, job, interval or DEFAULT_INTERVAL_S)
        return
    from trialrun.cli.study_text import TableOptions

    if limit is None:
        limit = 0 if as_json else _DEFAULT_LIMIT
    options = TableOptions(sort=sort, descending=descending, limit=limit, traceback=traceback)
    _show_once(path, job, options, as_json=as_json)


def _show_once(path: str, job: int | None, options: TableOptions, *, as_json: bool) -> None:
    from trialrun.cli.study_json import study_to_json
    from trialrun.cli.study_text import format_study
    from trialrun.recordings import open_study

    now = datetime.now(UTC)
    with open_study(path, job) as study:
        if as_json:
            print_json(study_to_json(study, options, now), indent=None)
        else:
            click.echo("\n".join(format_study(study, path, options, now)))
