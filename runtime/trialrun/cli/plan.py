"""`trialrun plan`: show what a job would do."""

from __future__ import annotations

from pathlib import Path

import click

from trialrun.cli.jobs import Problems, load_inputs
from trialrun.cli.options import add_json_flag, executor_option, other_plugins_option
from trialrun.cli.output import print_json
from trialrun.run_dir import layout

__all__ = ["command"]


@click.command("plan", context_settings={"show_default": True})
@click.argument("job")
@click.option("--plugin", metavar="P", help="Check this plugin too: it must load and fit the job.")
@other_plugins_option
@executor_option
@click.option("--trial-seconds", type=click.FloatRange(min=0), metavar="S", help="Estimate with S seconds per trial.")
@click.option("--results", default=layout.RESULTS_ROOT, metavar="DIR", help="Estimate from earlier runs in DIR.")
@add_json_flag("Print one JSON object.")
def command(
    job: str,
    plugin: str | None,
    others: tuple[str, ...],
    executor: str,
    trial_seconds: float | None,
    results: str,
    as_json: bool,
) -> None:
    """Show what a job would do, without starting it.

    JOB is a JSON or YAML file. The exit code is 2 when the job, the plugin, the search algorithm and the scheduler do
    not fit together.
    """
    from trialrun.cli.compatibility import check_compatibility
    from trialrun.cli.job_plan import build_plan, detect_resources, format_plan
    from trialrun.cli.timing import estimate_trial_time

    warnings: list[str] = []
    problems = Problems()
    inputs = load_inputs(job, plugin, others, warnings.append, problems)
    check_compatibility(inputs, executor, problems)
    problems.raise_if_any()
    timing = (
        estimate_trial_time(Path(results), inputs.request)
        if trial_seconds is None
        else (trial_seconds, "--trial-seconds")
    )
    plan = build_plan(inputs.request, executor=executor, machine=detect_resources(), timing=timing, warnings=warnings)
    if as_json:
        print_json(plan)
    else:
        click.echo("\n".join(format_plan(plan)))
