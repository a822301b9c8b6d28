"""`trialrun run`: run a job from its file to its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.finish import run_and_report
from trialrun.cli.jobs import Problems, load_inputs, parse_fixtures, parse_resources, with_fail_fast
from trialrun.cli.options import add_fixture_options, add_result_options, executor_option, other_plugins_option
from trialrun.run_dir import layout

if TYPE_CHECKING:
    from trialrun.cli.views import View
    from trialrun_hookspecs.results import JobResult

__all__ = ["command"]


@click.command("run", context_settings={"show_default": True})
@click.argument("job")
@click.option("--plugin", required=True, metavar="P", help="Run this plugin: a file, folder, dotted path or name.")
@other_plugins_option
@add_fixture_options
@click.option("--backend", metavar="URL", help="Report to this backend. Default: a recorder that is started here.")
@click.option("--job", "job_id", type=click.IntRange(min=1), metavar="ID", help="Use this job id.")
@click.option("--address", metavar="A", help="Join this Ray. Default: RAY_ADDRESS, else a local Ray is started.")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="Give the local Ray this resource, such as license=2. Repeatable.",
)
@executor_option
@click.option("--results", default=layout.RESULTS_ROOT, metavar="DIR", help="Create the results folder in DIR.")
@click.option("--restore", metavar="DIR", help="Start from this trial folder or checkpoint.")
@click.option("--fail-fast", is_flag=True, help="Fail the job at the first trial that fails.")
@click.option("--storage", metavar="URL", help="Copy the results folder there: a path, s3://…, gs://…, …")
@click.option(
    "--spool-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=1024.0,
    metavar="MB",
    help="Let each trial report this much at most; log_* calls beyond it raise.",
)
@click.option("--seed", type=int, metavar="N", help="Seed search and trials. Default: the job's seed, else random.")
@add_result_options
def command(
    job: str,
    as_json: bool,
    quiet: bool,
    fail_on_trial_error: bool,
    spool_limit: float,
    **options: Any,
) -> None:
    """Run a training or tuning job.

    JOB is a JSON or YAML file. A new folder below --results gets everything: the job, its result, the recording,
    and the output of each trial.
    """
    options["spool_limit"] = int(spool_limit * 2**20)
    run_and_report(
        lambda view: _run_job(view, job, **options),
        as_json=as_json,
        quiet=quiet,
        fail_on_trial_error=fail_on_trial_error,
    )


def _run_job(
    view: View,
    job: str,
    *,
    plugin: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    resources: tuple[str, ...],
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
        inputs = load_inputs(job, plugin, others, view.warn, problems)
        return run(
            with_fail_fast(inputs.request) if fail_fast else inputs.request,
            plugin=inputs.plugin,
            plugins=inputs.others,
            datasets=served[0],
            checkpoints=served[1],
            local_resources=local,
            watcher=view,
            **options,
        )
