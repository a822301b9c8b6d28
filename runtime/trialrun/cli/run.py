"""`trialrun run`: a job from its file to its result."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.jobs import Problems, fixtures, given
from trialrun.cli.streams import reserved_stdout, silenced
from trialrun_hookspecs.errors import TrialrunError, UsageError

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
@click.option("--executor", type=click.Choice(["ray", "inline"]), default="ray", help="inline: no Ray, one by one.")
@click.option("--results", default="trialrun-results", metavar="DIR", help="Where results folders are made.")
@click.option(
    "--spool-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=1024.0,
    metavar="MB",
    help="What each trial may report at most; log_* calls beyond it raise.",
)
@click.option("--seed", type=int, metavar="N", help="Seed of search and trials; else the job's, else drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print the result object alone on stdout.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the result with --json).")
@click.option("--fail-on-trial-error", is_flag=True, help="Exit with 1 when any trial failed.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    job: str,
    plugin: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    fail_on_trial_error: bool,
    spool_limit: float,
    **options: Any,
) -> None:
    """Run the JOB (a JSON or YAML file) with a plugin.

    Everything goes to a folder of its own below --results: the job as it ran, its result, the recording, and what
    each trial wrote.
    """
    from trialrun.cli.summary import trial_failures
    from trialrun.cli.views import view_for

    view = view_for(quiet=quiet)
    try:
        with (
            reserved_stdout() if as_json else contextlib.nullcontext(),
            silenced() if quiet else contextlib.nullcontext(),
        ):
            bound = int(spool_limit * 2**20)
            result = _ran(view, job, plugin, others, datasets, checkpoints, spool_limit=bound, **options)
    except TrialrunError as error:
        if as_json and not isinstance(error, UsageError):
            _print_result_file(view)
        raise
    _tell(view, result, as_json=as_json, quiet=quiet)
    failed = trial_failures(result)
    if failed and (fail_on_trial_error or as_json) and not (quiet and not fail_on_trial_error):
        click.echo("\n".join(failed), err=True)
    if failed and fail_on_trial_error:
        ctx.exit(1)


def _ran(
    view: View,
    job: str,
    plugin: str,
    others: tuple[str, ...],
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    **options: Any,
) -> JobResult:
    from trialrun.cli.views import watching
    from trialrun.engine import run

    with watching(view):
        problems = Problems()
        served = fixtures(datasets, "--dataset", problems), fixtures(checkpoints, "--checkpoint", problems)
        called = given(job, plugin, others, view.warn, problems)
        return run(
            called.request,
            plugin=called.plugin,
            plugins=called.others,
            datasets=served[0],
            checkpoints=served[1],
            watcher=view,
            **options,
        )


def _tell(view: View, result: JobResult, *, as_json: bool, quiet: bool) -> None:
    from trialrun.cli.summary import summary

    if as_json:
        click.echo(json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False))
    elif not quiet:
        board = view.board
        lines = summary(result, name=view.name, elapsed=view.elapsed, trials=len(board.trials), metric=board.metric)
        click.echo("\n".join(lines))


def _print_result_file(view: View) -> None:
    """A job that ran and failed has a result too."""
    path = None if view.results is None else view.results / "result.json"
    if path is not None and path.exists():
        click.echo(path.read_text(encoding="utf-8").rstrip())
