"""`trialrun schema`: the JSON Schema of a job."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a job (draft 2020-12), for editors and other tools."""
    from trialrun_hookspecs.parsing import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
