"""The former names of `trialrun show`: hidden, and they name the command to use now."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from trialrun.cli.options import add_json_flag, add_study_options
from trialrun.cli.output import print_json
from trialrun.cli.show import DEFAULT_INTERVAL_S

__all__ = ["status", "top"]


@click.command("status", hidden=True)
@add_study_options
@add_json_flag("Print the state as one line of JSON.")
def status(path: str, job: int | None, as_json: bool) -> None:
    """Show the state of a run; `trialrun show` replaces this command."""
    from trialrun.cli.study_json import state_to_json
    from trialrun.cli.study_text import format_state
    from trialrun.recordings import open_study
    from trialrun.recordings.state import read_state

    _name_successor("status", "show")
    now = datetime.now(UTC)
    with open_study(path, job) as study:
        state = read_state(study, now)
    if as_json:
        print_json(state_to_json(state), indent=None)
    else:
        click.echo("\n".join(format_state(state, path, now)))


@click.command("top", hidden=True)
@add_study_options
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=DEFAULT_INTERVAL_S,
    show_default=True,
    metavar="SECONDS",
    help="Set the pause between two looks.",
)
def top(path: str, job: int | None, interval: float) -> None:
    """Watch a run live; `trialrun show --follow` replaces this command."""
    from trialrun.cli.follow import follow_recording

    _name_successor("top", "show --follow")
    follow_recording(path, job, interval)


def _name_successor(name: str, successor: str) -> None:
    click.echo(f"note: `trialrun {name}` is now `trialrun {successor}`", err=True)
