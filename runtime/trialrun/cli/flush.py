"""`trialrun flush`: deliver what an earlier run could not send."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from trialrun.cli.options import add_json_flag
from trialrun.cli.output import print_json
from trialrun.cli.text import format_field
from trialrun.run_dir import layout

if TYPE_CHECKING:
    from trialrun.engine.flush import FlushResult

__all__ = ["command"]


@click.command("flush", context_settings={"show_default": True})
@click.argument("folder", metavar="DIR")
@click.option("--backend", metavar="URL", help="Send to this backend. Default: the run's recorder or URL.")
@click.option("--refused", is_flag=True, help="Send again what the backend refused.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    metavar="SECONDS",
    help="Give up after this long without an answer.",
)
@add_json_flag("Print the counts as one line of JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, folder: str, backend: str | None, refused: bool, timeout: float, as_json: bool
) -> None:
    """Deliver what an earlier run could not send to its backend.

    DIR is the run's results folder. Delivered entries are not sent again, so the command can be repeated. The exit
    code is 1 when something is still undelivered, or was refused.
    """
    from trialrun.engine.flush import flush

    result = flush(folder, backend=backend, refused=refused, timeout=timeout)
    if as_json:
        print_json(asdict(result), indent=None)
    else:
        click.echo("\n".join(_format_summary(result, folder)))
    if result.left or result.refused:
        ctx.exit(1)


def _format_summary(result: FlushResult, folder: str) -> list[str]:
    if not result.sent and not result.left:
        lines = [f"nothing to send: all {result.had} were delivered"]
    else:
        lines = format_field("sent", [str(result.sent)])
    if result.refused:
        lines += format_field("refused", [f"{result.refused}, kept in {folder}/{layout.DEAD_LETTERS}"])
    if result.left:
        lines += format_field("left", [f"{result.left}: {result.trouble}"])
    if result.unreadable:
        lines += format_field("unreadable", [f"{result.unreadable} lines"])
    return lines
