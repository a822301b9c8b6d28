"""`trialrun plan`: what a job would do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trialrun.cli.jobs import Problems, load_inputs
from trialrun.run_dir import layout

__all__ = ["command"]


@click.command("plan", context_settings={"show_default": True})
@click.argument("job")
@click.option("--plugin", metavar="P", help="Check that this plugin loads and fits, too.")
@click.option("--with", "others", multiple=True, metavar="P", help="Another plugin whose hooks are asked too.")
@click.option("--executor", type=click.Choice(["ray", "inline"]), default="ray", help="What the job would run on.")
@click.option("--trial-seconds", type=click.FloatRange(min=0), metavar="S", help="How long one trial takes.")
@click.option(
    "--results", default=layout.RESULTS_ROOT, metavar="DIR", help="Where earlier runs show how long one takes."
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def command(
    job: str,
    plugin: str | None,
    others: tuple[str, ...],
    executor: str,
    trial_seconds: float | None,
    results: str,
    as_json: bool,
) -> None:
    """Say what the JOB (a JSON or YAML file) would do. Nothing is started.

    Exits with 2 when the job, the plugin, the search algorithm and the scheduler do not fit together.
    """
    from trialrun.cli.compatibility import check_compatibility
    from trialrun.cli.job_plan import build_plan, detect_resources, format_plan
    from trialrun.cli.timing import estimate_trial_time

    warnings: list[str] = []
    problems = Problems()
    called = load_inputs(job, plugin, others, warnings.append, problems)
    check_compatibility(called, executor, problems)
    problems.raise_if_any()
    timing = (
        estimate_trial_time(Path(results), called.request)
        if trial_seconds is None
        else (trial_seconds, "--trial-seconds")
    )
    plan = build_plan(called.request, executor=executor, machine=detect_resources(), timing=timing, warnings=warnings)
    if as_json:
        click.echo(json.dumps(plan, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(format_plan(plan)))
