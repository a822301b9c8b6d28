"""The arguments and options that several commands share, each with one wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = [
    "add_fixture_options",
    "add_json_flag",
    "add_result_options",
    "add_server_options",
    "add_study_options",
    "executor_option",
    "other_plugins_option",
    "overwrite_option",
]

Decorator = Callable[..., Any]

executor_option = click.option(
    "--executor",
    type=click.Choice(["ray", "inline"]),
    default="ray",
    help="Run trials on Ray, or one by one in this process.",
)
other_plugins_option = click.option(
    "--with", "others", multiple=True, metavar="P", help="Call the hooks of this plugin too. Repeatable."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Overwrite existing files.")


def add_study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument `path` of a recording and the option `job`."""
    return _add_all(
        command,
        click.argument("path", metavar="DIR|SQLITE"),
        click.option("--job", type=int, metavar="ID", help="Read this job of the recording. Default: its newest."),
    )


def add_json_flag(text: str) -> Decorator:
    """Return the decorator that adds the flag `as_json` with the help `text`."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def add_fixture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `datasets` and `checkpoints`: what the recorder serves."""
    return _add_all(
        command,
        click.option(
            "--dataset",
            "datasets",
            multiple=True,
            metavar="ID=PATH|NAME",
            help="Serve this as dataset ID: a path, or a dataset that a plugin offers. Repeatable.",
        ),
        click.option(
            "--checkpoint",
            "checkpoints",
            multiple=True,
            metavar="ID=PATH",
            help="Serve this path as model ID. Repeatable.",
        ),
    )


def add_server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `port`, `host`, `allow_remote` and `seconds` of a command that serves until Ctrl-C."""
    return _add_all(
        command,
        click.option(
            "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Listen on this port; 0: a free one."
        ),
        click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Listen on this address."),
        click.option("--allow-remote", is_flag=True, help="Allow a --host that other machines can reach."),
        click.option(
            "--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop after this many seconds."
        ),
    )


def add_result_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `as_json`, `quiet` and `fail_on_trial_error` of a command that runs a job."""
    return _add_all(
        command,
        add_json_flag("Print the result as JSON, and nothing else on stdout."),
        click.option("--quiet", is_flag=True, help="Print errors only (and the result with --json)."),
        click.option("--fail-on-trial-error", is_flag=True, help="Exit with 1 when a trial failed."),
    )


def _add_all(command: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
