"""`trialrun check`: whether the platform will run this plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from trialrun.testing.verdicts import Outcome, Report

__all__ = ["command", "split_check_ids"]


@click.command(
    "check",
    context_settings={"show_default": True},
    epilog="Exit codes: 0 all that was asked for holds, 1 something does not, 2 it could not be told, 130 interrupted.",
)
@click.argument("plugin", required=False)
@click.option("--profile", type=click.Choice(["core", "full"]), default="core", help="full: extended checks, and Ray.")
@click.option("--select", multiple=True, metavar="ID,…", help="These checks only; TR2 means all that begin so.")
@click.option("--ignore", multiple=True, metavar="ID,…", help="Not these; a core check that is left out makes it red.")
@click.option("--report", "reports", multiple=True, metavar="KIND=PATH,…", help="junit, json, sarif, html or badge.")
@click.option("--verify", is_flag=True, help="Each check alone and in reverse order, too.")
@click.option("-n", "workers", type=click.IntRange(min=1), default=1, metavar="N", help="Checks at once.")
@click.option("--dataset", metavar="PATH|NAME", help="A folder, a CSV file, or the name of one that a plugin offers.")
@click.option("--job", "jobs", multiple=True, metavar="FILE", help="A job to take hyperparameters and objective from.")
@click.option("--config", metavar="FILE", help="The pyproject.toml to read, instead of the nearest one.")
@click.option("--repro", metavar="DIR", default="trialrun-repro", help="Where scripts that show failures are written.")
@click.option("--no-repro", is_flag=True, help="Write none.")
@click.option("--no-ray", is_flag=True, help="Run no check that needs Ray.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=7, metavar="N", help="Of every run.")
@click.option("-v", "--verbose", is_flag=True, help="List the checks that passed, too.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    plugin: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    reports: tuple[str, ...],
    dataset: str | None,
    jobs: tuple[str, ...],
    repro: str,
    no_repro: bool,
    no_ray: bool,
    verbose: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Check that a PLUGIN keeps the contract: a file, folder, dotted path or installed plugin.

    Without one, the plugin of [tool.trialrun] in pyproject.toml. It runs in processes of its own, without Ray unless
    a check needs it; nothing leaves this machine.
    """
    from trialrun.testing.harness import check_plugin
    from trialrun.testing.reports import parse_targets, write_reports

    targets = parse_targets(reports)
    report = check_plugin(
        plugin,
        select=split_check_ids(select),
        ignore=split_check_ids(ignore),
        repro_dir=None if no_repro else Path(repro),
        ray=False if no_ray else None,
        dataset=dataset if dataset is None or not Path(dataset).exists() else str(Path(dataset).absolute()),
        on_outcome=_make_progress_printer(quiet=quiet),
        **_read_job_settings(jobs),
        **options,
    )
    write_reports(report.to_json(), targets)
    if not quiet:
        _print_report(report, verbose=verbose)
    ctx.exit(report.exit_code)


def split_check_ids(texts: Iterable[str]) -> list[str]:
    """`("TR2,tr305", "TR4")` -> TR2, TR305, TR4."""
    return [word.strip().upper() for text in texts for word in text.split(",") if word.strip()]


def _read_job_settings(jobs: Iterable[str]) -> dict[str, Any]:
    """What jobs say about the plugin: hyperparameters of a training job, space and objective of a tuning job."""
    from trialrun.job_file import to_request

    found: dict[str, Any] = {}
    for job in jobs:
        params = to_request(job).params
        if params.is_tune:
            space = [distribution.model_dump(mode="json") for distribution in params.hyperparameters or ()]
            found |= {"hyperparameters": space, "metric": params.tuning.metric, "mode": params.tuning.mode}
        else:
            found["hyperparameter"] = params.hyperparameter
    return found


def _make_progress_printer(*, quiet: bool) -> Callable[[Outcome], None]:
    """Show on a terminal how far it is."""
    shown = not quiet and sys.stderr.isatty()

    def print_outcome(outcome: Outcome) -> None:
        if shown and outcome.selected:
            click.echo(f"\r\x1b[2K{outcome.id} {outcome.verdict}: {outcome.title}"[:100], nl=False, err=True)
            if outcome.seconds == 0:
                click.echo("\r\x1b[2K", nl=False, err=True)

    return print_outcome


def _print_report(report: Report, *, verbose: bool) -> None:
    from rich.console import Console

    from trialrun.testing.reports import terminal

    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", nl=False, err=True)
    terminal.print_report(report.to_json(), Console(soft_wrap=False), verbose=verbose)
