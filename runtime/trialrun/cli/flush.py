"""`trialrun flush`: what an earlier run left behind, sent."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from trialrun.run_dir import layout

if TYPE_CHECKING:
    from trialrun.engine.flush import FlushResult

__all__ = ["command"]


@click.command("flush", context_settings={"show_default": True})
@click.argument("folder", metavar="DIR")
@click.option("--backend", metavar="URL", help="A running backend; else the run's own recorder, else the URL it had.")
@click.option("--refused", is_flag=True, help="Also send again what the backend had refused.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, metavar="SECONDS", help="Give up on one that is away."
)
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as one line of JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, folder: str, backend: str | None, refused: bool, timeout: float, as_json: bool
) -> None:
    """Send what the run in DIR, a results folder, could not deliver.

    What has arrived is not sent again, so it may be repeated. Exit code 1 when something is left, or was refused.
    """
    from trialrun.engine.flush import flush

    done = flush(folder, backend=backend, refused=refused, timeout=timeout)
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        click.echo("\n".join(_format_summary(done, folder)))
    if done.left or done.refused:
        ctx.exit(1)


def _format_summary(done: FlushResult, folder: str) -> list[str]:
    lines = [f"sent       {done.sent}" if done.sent or done.left else f"nothing to send: all {done.had} had arrived"]
    if done.refused:
        lines.append(f"refused    {done.refused}, kept in {folder}/{layout.DEAD_LETTERS}")
    if done.left:
        lines.append(f"left       {done.left}: {done.trouble}")
    if done.unreadable:
        lines.append(f"unreadable {done.unreadable} lines")
    return lines
