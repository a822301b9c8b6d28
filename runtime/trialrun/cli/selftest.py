"""`trialrun selftest`: the checks, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trialrun.testing.selftest import Row

__all__ = ["command"]


@click.command("selftest", context_settings={"show_default": True})
@click.option("--plugins", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="Broken plugins.")
@click.option("--select", multiple=True, metavar="ID,…", help="Of these checks only; TR2 means all that begin so.")
@click.option("--ray", is_flag=True, help="The checks that need Ray, too.")
@click.option("-n", "workers", type=click.IntRange(min=1), default=1, metavar="N", help="Plugins at once.")
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, plugins: str | None, select: tuple[str, ...], ray: bool, workers: int, as_json: bool
) -> None:
    """Put every broken plugin through every check: each must trip its own and no other; clean ones trip none."""
    from trialrun.cli.check import split_check_ids
    from trialrun.testing.selftest import run_selftest

    matrix = run_selftest(
        None if plugins is None else Path(plugins),
        ray=ray,
        select=split_check_ids(select),
        workers=workers,
        on_row=_print_row,
    )
    click.echo(
        json.dumps(matrix.to_json(), indent=1, ensure_ascii=False) if as_json else "\n".join(matrix.render_lines())
    )
    for problem in matrix.problems:
        click.echo(f"error: {problem}", err=True)
    clean = sum(row.check is None for row in matrix.rows)
    told = f"{len(matrix.checks)} checks, {len(matrix.rows) - clean} broken plugins, {clean} clean ones"
    click.echo(f"{told}: {len(matrix.problems) or 'no'} problems", err=True)
    ctx.exit(1 if matrix.problems else 0)


def _print_row(row: Row) -> None:
    click.echo(f"{row.plugin}: {', '.join(row.tripped) or 'trips nothing'}", err=True)
