"""The group of commands. Each is imported when it is called, and its errors become exit codes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import IO, Any

import click

from trialrun._version import __version__

__all__ = ["ALIASES", "COMMANDS", "main"]

COMMANDS: Mapping[str, str] = {
    "run": "Run a training or tuning job.",
    "resume": "Resume an interrupted run.",
    "submit": "Submit a job to a Ray cluster.",
    "plan": "Show what a job would do, without starting it.",
    "schema": "Print the JSON Schema of a job.",
    "migrate": "Convert a job from the deprecated form to the current one.",
    "flush": "Deliver what an earlier run could not send to its backend.",
    "record": "Start the recorder on its own, for any client.",
    "ui": "Show recordings in the browser.",
    "show": "Show a run: state, best trial, trials and failures.",
    "export": "Export trials and metrics as files for other tools.",
    "report": "Write an HTML report of a run, or one plot as SVG or PNG.",
    "replay": "Send a recording to a backend again.",
    "diff": "Compare two recordings.",
    "check": "Check that a plugin keeps the contract.",
    "explain": "Explain a check: the rule, the reason and the fix.",
    "doctor": "Check whether this machine is ready to run jobs.",
    "plugins": "List the installed plugins and their hooks.",
    "new": "Create a plugin with tests and a CI workflow.",
}
"""Name -> the first sentence of its help; the module `trialrun.cli.<name>` has the command as `command`."""

ALIASES: Mapping[str, str] = {"status": "show", "top": "show --follow"}
"""Former name -> the command that replaces it; hidden, and an attribute of `trialrun.cli.aliases`."""


class _LazyGroup(click.Group):
    """A group that imports a command when it is called: `--help` and `--version` import click alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ALIASES:
            alias: click.Command = getattr(import_module("trialrun.cli.aliases"), cmd_name)
            return alias
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"trialrun.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _usage_errors_on_one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        _escape_unencodable_output()
        try:
            with _usage_errors_on_one_line():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # a reader that left, such as `head`, is not an error
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # every other error gets its exit code
            from trialrun.cli import failures

            ctx.exit(failures.report_error(error))


class _WrongCall(click.UsageError):
    """A usage error of click, shown on one line with the prefix of every other error."""

    def show(self, file: IO[Any] | None = None) -> None:
        command = f"{self.ctx.command_path} " if self.ctx is not None else ""
        message = " ".join(self.format_message().split()).rstrip(".")
        click.echo(f"error: {message}. See `{command}--help`.", file=file, err=file is None)


@contextlib.contextmanager
def _usage_errors_on_one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # its message is the help
    except click.UsageError as error:
        raise _WrongCall(error.format_message(), error.ctx) from None


def _escape_unencodable_output() -> None:
    """Make stdout and stderr write an escape for a character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a replaced stream, or a closed one
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams have it


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 the job failed, 2 wrong call, nothing ran, 3 a bug in trialrun, 130 interrupted.",
)
@click.version_option(__version__, prog_name="trialrun")
def main() -> None:
    """Run training and tuning plugins locally, with everything they report recorded."""
