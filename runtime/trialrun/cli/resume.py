"""`trialrun resume`: continue an interrupted run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.finish import run_and_report
from trialrun.cli.jobs import Problems, parse_fixtures
from trialrun.cli.options import add_result_options

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["command"]


@click.command("resume", context_settings={"show_default": True})
@click.argument("folder", metavar="DIR|URL")
@click.option("--results", "into", metavar="DIR", help="Fetch the copy into DIR. Default for a URL: trialrun-results.")
@click.option("--failed", is_flag=True, help="Retry the trials that failed on their own.")
@click.option("--plugin", metavar="P", help="Use this plugin instead of the recorded one.")
@click.option("--with", "others", multiple=True, metavar="P", help="Use these other plugins instead. Repeatable.")
@click.option(
    "--dataset", "datasets", multiple=True, metavar="ID=PATH|NAME", help="Use this dataset instead. Repeatable."
)
@click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="ID=PATH", help="Use this model instead. Repeatable."
)
@click.option("--restore", metavar="DIR", help="Start new trials from this folder instead.")
@click.option("--backend", metavar="URL", help="Report to this backend instead.")
@click.option("--address", metavar="A", help="Join this Ray instead.")
@add_result_options
def command(folder: str, as_json: bool, quiet: bool, fail_on_trial_error: bool, **options: Any) -> None:
    """Resume an interrupted run.

    DIR is the results folder of a run that ended by Ctrl-C, a kill or a crash. A URL, such as
    s3://bucket/studies/my_job-1, or a path with --results is a copy that --storage made: it is fetched first, and
    updated there again.

    Finished trials are kept. Interrupted trials, and those lost with their worker or node, resume from their newest
    complete checkpoint; missing trials are started. Undelivered reports are sent first. A complete run is not changed.
    """
    run_and_report(
        lambda view: _resume_job(view, folder, **options),
        as_json=as_json,
        quiet=quiet,
        fail_on_trial_error=fail_on_trial_error,
    )


def _resume_job(
    view: View,
    folder: str,
    *,
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
