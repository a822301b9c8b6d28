"""`trialrun doctor`: check whether this machine is ready to run jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from trialrun.cli.options import add_json_flag
from trialrun.cli.output import print_json
from trialrun.cli.text import clean

if TYPE_CHECKING:
    from trialrun.engine.doctor import DoctorReport

__all__ = ["command"]


@click.command("doctor")
@click.option("--address", metavar="A", help="Check this Ray, which jobs will join. Default: RAY_ADDRESS.")
@add_json_flag("Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, address: str | None, as_json: bool) -> None:
    """Check whether this machine is ready to run jobs.

    Prints versions, resources, GPUs, missing extras, and environment variables that affect jobs where they are set.
    The exit code is 1 when something would make jobs fail.
    """
    from trialrun.engine.doctor import examine_machine

    report = examine_machine(os.environ, address=address)
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    ctx.exit(1 if report.has_errors else 0)


def _print_report(report: DoctorReport) -> None:
    click.echo("versions   " + ", ".join(f"{name} {version}" for name, version in report.versions.items()))
    click.echo("resources  " + ", ".join(f"{value:g} {name}" for name, value in report.resources.items()))
    click.echo("GPUs       " + (", ".join(map(clean, report.gpus)) or "none"))
    for extra, names in report.missing.items():
        click.echo(f"missing    {', '.join(names)}: pip install 'trialrun[{extra}]'")
    for variable in report.variables:
        effect = {"works": "works", "option": "is set by trialrun", "gone": "has no effect"}[variable.fate]
        click.echo(f"set        {variable.name}={clean(variable.value)} {effect}: {variable.note}")
    for trouble in report.troubles:
        click.echo(f"{trouble.level:<10} {clean(trouble.what)}")
    if not report.has_errors:
        click.echo("No errors.")
