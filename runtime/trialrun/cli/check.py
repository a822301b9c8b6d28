"""`trialrun check`: check a plugin against the contract."""

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
    epilog="Exit codes: 0 the selected checks passed, 1 a check failed, 2 no verdict was possible, 130 interrupted.",
)
@click.argument("plugin", required=False)
@click.option(
    "--profile",
    type=click.Choice(["core", "full"]),
    default="core",
    help="Run the core checks, or also the extended ones and Ray.",
)
@click.option("--select", multiple=True, metavar="ID,…", help="Run these checks only; TR2: all TR2xx. Repeatable.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="ID,…",
    help="Skip these checks; without every core check the result is red. Repeatable.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="KIND=PATH,…",
    help="Write junit, json, sarif, html or badge. Repeatable.",
)
@click.option("--verify", is_flag=True, help="Repeat each check alone and in reverse order.")
@click.option("-n", "workers", type=click.IntRange(min=1), default=1, metavar="N", help="Run N checks at a time.")
@click.option("--dataset", metavar="PATH|NAME", help="Use this folder, CSV file or dataset of a plugin.")
@click.option(
    "--job", "jobs", multiple=True, metavar="FILE", help="Use hyperparameters and objective of a job. Repeatable."
)
@click.option("--config", metavar="FILE", help="Read this pyproject.toml. Default: the nearest one.")
@click.option("--repro", metavar="DIR", default="trialrun-repro", help="Write scripts that reproduce failures to DIR.")
@click.option("--no-repro", is_flag=True, help="Write no such scripts.")
@click.option("--no-ray", is_flag=True, help="Skip the checks that need Ray.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=7, metavar="N", help="Seed every run.")
@click.option("-v", "--verbose", is_flag=True, help="List the passed checks too.")
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
    """Check that a plugin keeps the contract.

    PLUGIN is a file, a folder, a dotted path or an installed plugin. Default: the plugin of [tool.trialrun] in
    pyproject.toml. It runs in separate processes, with Ray only where a check needs it; nothing leaves this machine.
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
    """Return the ids of a repeatable, comma-separated option: `("TR2,tr305", "TR4")` -> TR2, TR305, TR4."""
    return [word.strip().upper() for text in texts for word in text.split(",") if word.strip()]


def _read_job_settings(jobs: Iterable[str]) -> dict[str, Any]:
    """Return the settings from jobs: hyperparameters of a training job, space and objective of a tuning job."""
    from trialrun.job_file import to_request

    settings: dict[str, Any] = {}
    for job in jobs:
        params = to_request(job).params
        if params.is_tune:
            space = [distribution.model_dump(mode="json") for distribution in params.hyperparameters or ()]
            settings |= {"hyperparameters": space, "metric": params.tuning.metric, "mode": params.tuning.mode}
        else:
            settings["hyperparameter"] = params.hyperparameter
    return settings


def _make_progress_printer(*, quiet: bool) -> Callable[[Outcome], None]:
    """Return the callback that shows the current check, on a terminal only."""
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
