"""`trialrun run`: a job from its file to its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.finish import add_result_options, run_and_report
from trialrun.cli.jobs import Problems, load_inputs, parse_fixtures, parse_resources, with_fail_fast
from trialrun.run_dir import layout

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["command"]


@click.command("run", context_settings={"show_default": True})
@click.argument("job")
@click.option("--plugin", required=True, metavar="P", help="A file, folder, dotted path or installed plugin.")
@click.option("--with", "others", multiple=True, metavar="P", help="Another plugin whose hooks are asked too.")
@click.option(
    "--dataset", "datasets", multiple=True, metavar="ID=PATH|NAME", help="What the recorder serves as dataset ID."
)
@click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="ID=PATH", help="What the recorder serves as model ID."
)
@click.option("--backend", metavar="URL", help="A running backend, instead of a recorder of our own.")
@click.option("--job", "job_id", type=click.IntRange(min=1), metavar="ID", help="The job's id, where it has one.")
@click.option("--address", metavar="A", help="A running Ray to join; else RAY_ADDRESS, else a local one is started.")
@click.option(
    "--resource", "resources", multiple=True, metavar="NAME=AMOUNT", help="What a local Ray has, such as license=2."
)
@click.option("--executor", type=click.Choice(["ray", "inline"]), default="ray", help="inline: no Ray, one by one.")
@click.option("--results", default=layout.RESULTS_ROOT, metavar="DIR", help="Where results folders are made.")
@click.option("--restore", metavar="DIR", help="A trial's folder or checkpoint to begin from.")
@click.option("--fail-fast", is_flag=True, help="End the study, and fail, at the first trial that fails.")
@click.option("--storage", metavar="URL", help="Copy the results folder there: a path, s3://…, gs://…, …")
@click.option(
    "--spool-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=1024.0,
    metavar="MB",
    help="What each trial may report at most; log_* calls beyond it raise.",
)
@click.option("--seed", type=int, metavar="N", help="Seed of search and trials; else the job's, else drawn.")
@add_result_options
def command(
    job: str,
    plugin: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    resources: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    fail_on_trial_error: bool,
    spool_limit: float,
    fail_fast: bool,
    **options: Any,
) -> None:
    """Run the JOB (a JSON or YAML file) with a plugin.

    Everything goes to a folder of its own below --results: the job as it ran, its result, the recording, and what
    each trial wrote.
    """
    bound = int(spool_limit * 2**20)
    run_and_report(
        lambda view: _run_job(
            view,
            job,
            plugin,
            others,
            datasets,
            checkpoints,
            resources,
            fail_fast=fail_fast,
            spool_limit=bound,
            **options,
        ),
        as_json=as_json,
        quiet=quiet,
        fail_on_trial_error=fail_on_trial_error,
    )


def _run_job(
    view: View,
    job: str,
    plugin: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    resources: tuple[str, ...],
    *,
    fail_fast: bool,
    **options: Any,
) -> JobResult:
    from trialrun.cli.views import use_view
    from trialrun.engine.job import run
    from trialrun.run_dir.storage import refuse_credentials

    with use_view(view):
        problems = Problems()
        served = parse_fixtures(datasets, "--dataset", problems), parse_fixtures(checkpoints, "--checkpoint", problems)
        local = parse_resources(resources, "--resource", problems)
        with problems.collect_usage_errors():
            refuse_credentials(options["storage"] or "", "--storage")
        called = load_inputs(job, plugin, others, view.warn, problems)
        return run(
            with_fail_fast(called.request) if fail_fast else called.request,
            plugin=called.plugin,
            plugins=called.others,
            datasets=served[0],
            checkpoints=served[1],
            local_resources=local,
            watcher=view,
            **options,
        )
