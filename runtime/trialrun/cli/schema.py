"""`trialrun schema`: print the JSON Schema of a job."""

from __future__ import annotations

import click

from trialrun.cli.output import print_json

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a job.

    It is of draft 2020-12, for editors and other tools.
    """
    from trialrun_hookspecs.parsing import json_schema

    print_json(json_schema())
