"""`trialrun resume`: on from where a run was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.finish import add_result_options, run_and_report
from trialrun.cli.jobs import Problems, parse_fixtures

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["command"]


@click.command("resume", context_settings={"show_default": True})
@click.argument("folder", metavar="DIR|URL")
@click.option(
    "--results", "into", metavar="DIR", help="Where a copy is fetched to; a URL to trialrun-results without it."
)
@click.option("--failed", is_flag=True, help="Try the trials again that failed by themselves.")
@click.option("--plugin", metavar="P", help="The plugin, where it is not where it was.")
@click.option("--with", "others", multiple=True, metavar="P", help="The other plugins, likewise.")
@click.option("--dataset", "datasets", multiple=True, metavar="ID=PATH|NAME", help="A dataset, likewise.")
@click.option("--checkpoint", "checkpoints", multiple=True, metavar="ID=PATH", help="A model, likewise.")
@click.option("--restore", metavar="DIR", help="Where its trials begin, likewise.")
@click.option("--backend", metavar="URL", help="The backend, likewise.")
@click.option("--address", metavar="A", help="The Ray to join, likewise.")
@add_result_options
def command(
    folder: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    fail_on_trial_error: bool,
    **options: Any,
) -> None:
    """Go on with the run whose results folder is DIR, after Ctrl-C, a kill or a crash.

    With a URL, such as s3://bucket/studies/my_job-1, or with --results and a path: with the run whose folder was
    copied there by --storage. It is fetched first, and copied there again.

    Trials that are over stay; those that were cut off, or lost with their worker or node, go on from their newest
    complete checkpoint; those that were not made yet are made. What was not delivered is sent first. A run that is
    complete stays as it is.
    """
    run_and_report(
        lambda view: _resume_job(view, folder, others, datasets, checkpoints, **options),
        as_json=as_json,
        quiet=quiet,
        fail_on_trial_error=fail_on_trial_error,
    )


def _resume_job(
    view: View,
    folder: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    **options: Any,
) -> JobResult:
    from trialrun.cli.views import use_view
    from trialrun.engine.job import resume

    with use_view(view):
        problems = Problems()
        served = parse_fixtures(datasets, "--dataset", problems), parse_fixtures(checkpoints, "--checkpoint", problems)
        problems.raise_if_any()
        return resume(
            folder, plugins=others or None, datasets=served[0], checkpoints=served[1], watcher=view, **options
        )
