"""The group of commands: each is imported when it is asked for, and what it raises becomes an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from trialrun._version import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS: Mapping[str, str] = {
    "run": "Run a training or tuning job.",
    "resume": "Go on with a run that was interrupted or killed.",
    "submit": "Have a cluster run a job, as a Ray Job.",
    "plan": "Say what a job would do; nothing is started.",
    "schema": "Print the JSON Schema of a job.",
    "migrate": "Write a job of the deprecated form in its new form.",
    "flush": "Send what an earlier run could not deliver to its backend.",
    "record": "Start the recorder alone, for any client to talk to.",
    "ui": "Show recordings in the browser, of runs under way and old ones.",
    "status": "Say how far a run is, in one screen.",
    "top": "Watch a run that is under way elsewhere.",
    "show": "Print what came of a run: result, best trial, table, failures.",
    "export": "Write trials and metrics as CSV, JSON, Parquet or TensorBoard files.",
    "report": "Write one HTML file with table and plots, or one plot as SVG or PNG.",
    "replay": "Send what was recorded to a backend again.",
    "diff": "Compare two recordings.",
    "check": "Check that a plugin keeps the contract.",
    "explain": "Say what a check demands, why, and how to fix what it finds.",
    "doctor": "Say whether this machine is fit to run jobs.",
    "plugins": "List the installed plugins and their hooks.",
    "new": "Write a plugin to begin with, its tests and a CI workflow.",
}
"""Name -> what `--help` says; the module `trialrun.cli.<name>` has the command as `command`."""


class _LazyGroup(click.Group):
    """Imports a command when it is needed: `--help` and `--version` cost click alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"trialrun.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        _escape_unencodable_output()
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own; a reader that left, such as `head`, is no error
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last door: all else gets its exit code
            from trialrun.cli import failures

            ctx.exit(failures.report_error(error))


def _escape_unencodable_output() -> None:
    """What the terminal's encoding does not have is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stand-in, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams have it


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 the job failed, 2 the call was wrong and nothing ran, 3 a bug in trialrun, "
    "130 interrupted.",
)
@click.version_option(__version__, prog_name="trialrun")
def main() -> None:
    """Run the training and tuning plugins of a platform for real, with everything they report recorded."""
