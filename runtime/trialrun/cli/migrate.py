"""`trialrun migrate`: convert a job from its deprecated form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("migrate")
@click.argument("old")
@click.option("-o", "--output", metavar="NEW", help="Write to NEW instead of stdout.")
def command(old: str, output: str | None) -> None:
    """Convert a job from the deprecated form to the current one.

    OLD is the job's file; the output is JSON, and it is validated before it is written. A job of the current form is
    not changed.
    """
    from trialrun.job_file import read_job
    from trialrun_hookspecs.parsing import migrate, parse_request

    data = read_job(Path(old))
    new = migrate(data) if isinstance(data, Mapping) else data
    parse_request(new)
    text = json.dumps(new, indent=2, ensure_ascii=False)
    if new == data:
        click.echo("the job already has the current form", err=True)
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fix = "Name another file."
        raise UsageError("cannot be written", where=f"--output {output}", got=str(error.strerror), fix=fix) from None
