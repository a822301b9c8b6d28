"""`trialrun doctor`: whether this machine is fit to run jobs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from trialrun.cli.text import clean

if TYPE_CHECKING:
    from trialrun.engine.doctor import DoctorReport

__all__ = ["command"]


@click.command("doctor")
@click.option("--address", metavar="A", help="A Ray that jobs are to join; else RAY_ADDRESS.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.pass_context
def command(ctx: click.Context, address: str | None, as_json: bool) -> None:
    """Print versions, resources, GPUs, missing extras, and what in the environment will bite.

    Exits with 1 when something will make jobs fail or suffer. Environment variables are told only where they are set.
    """
    from trialrun.engine.doctor import examine_machine

    found = examine_machine(os.environ, address=address)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _print_report(found)
    ctx.exit(1 if found.has_errors else 0)


def _print_report(found: DoctorReport) -> None:
    click.echo("versions   " + ", ".join(f"{name} {version}" for name, version in found.versions.items()))
    click.echo("resources  " + ", ".join(f"{value:g} {name}" for name, value in found.resources.items()))
    click.echo("GPUs       " + (", ".join(map(clean, found.gpus)) or "none"))
    for extra, names in found.missing.items():
        click.echo(f"not there  {', '.join(names)}: pip install 'trialrun[{extra}]'")
    for variable in found.variables:
        said = {"works": "works", "option": "is trialrun's to set", "gone": "is gone"}[variable.fate]
        click.echo(f"set        {variable.name}={clean(variable.value)} {said}: {variable.note}")
    for trouble in found.troubles:
        click.echo(f"{trouble.level:<10} {clean(trouble.what)}")
    if not found.has_errors:
        click.echo("Nothing that would bite was found.")
