"""`trialrun migrate`: a job of the deprecated form in its new form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("migrate")
@click.argument("old")
@click.option("-o", "--output", metavar="NEW", help="Write it to this file instead of stdout.")
def command(old: str, output: str | None) -> None:
    """Write the job in the file OLD in its new form, as JSON.

    The outcome is checked before it is written; a job that is in the new form already comes out as it is.
    """
    from trialrun.job_file import read_job
    from trialrun_hookspecs.parsing import migrate, parse_request

    data = read_job(Path(old))
    new = migrate(data) if isinstance(data, Mapping) else data
    parse_request(new)
    text = json.dumps(new, indent=2, ensure_ascii=False)
    if new == data:
        click.echo("the job is in the new form already", err=True)
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fix = "Name another file."
        raise UsageError("cannot be written", where=f"--output {output}", got=str(error.strerror), fix=fix) from None
