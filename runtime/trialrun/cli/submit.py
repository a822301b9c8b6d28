"""`trialrun submit`: run a job on a cluster, as a Ray Job."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from trialrun.cli.output import print_json
from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("submit", context_settings={"show_default": True, "ignore_unknown_options": True})
@click.option(
    "--address", metavar="URL", help="Use the dashboard at http://HEAD:8265. Default: RAY_API_SERVER_ADDRESS."
)
@click.option("--working-dir", default=".", metavar="DIR", help="Upload this folder; JOB is in it.")
@click.option("--requirements", metavar="FILE", help="Install this pip requirements file on the cluster.")
@click.option(
    "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable, no secrets. Repeatable."
)
@click.option("--no-wait", is_flag=True, help="Return as soon as the cluster has accepted the job.")
@click.option("--dry-run", is_flag=True, help="Print the Ray Job instead of submitting it.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="JOB [OPTIONS OF RUN]...")
@click.pass_context
def command(
    ctx: click.Context,
    address: str | None,
    working_dir: str,
    requirements: str | None,
    variables: tuple[str, ...],
    no_wait: bool,
    dry_run: bool,
    arguments: tuple[str, ...],
) -> None:
    """Submit a job to a Ray cluster.

    The cluster runs `trialrun run JOB …` as a Ray Job; its output is shown, and its outcome sets the exit code. The
    working directory is uploaded, without version control, environments, results and files that look like keys. Paths
    are relative to it, and --results must be storage that the nodes share.
    """
    from trialrun.executors.ray_tune import ray_job

    folder = Path(working_dir).absolute()
    if not folder.is_dir():
        raise UsageError("must be a folder", where="--working-dir", got=working_dir, fix="Name the job's folder.")
    if not arguments:
        raise UsageError("must be named", where="JOB", got="nothing", fix="Write `trialrun submit … JOB --plugin P`.")
    env = ray_job.build_runtime_env(folder, _read_requirements(requirements), dict(map(_parse_variable, variables)))
    entry = f"python -m trialrun run {shlex.join(arguments)} --address auto"
    if dry_run:
        print_json({"entrypoint": entry, "runtime_env": env})
        return
    client, ray_job_id = ray_job.send_job(ray_job.resolve_dashboard(address), entry, env)
    click.echo(f"job {ray_job_id}", err=True)
    if no_wait:
        return
    status = ""
    for status in ray_job.follow_job(client, ray_job_id):
        if status not in ("SUCCEEDED", "FAILED", "STOPPED"):
            click.echo(status, nl=False)
    click.echo(f"job {ray_job_id}: {status}", err=True)
    ctx.exit(0 if status == "SUCCEEDED" else 1)


def _read_requirements(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        got = f"{file} ({error.strerror})"
        raise UsageError("must be readable", where="--requirements", got=got, fix="Check the path.") from None
    return [stripped for line in lines if (stripped := line.partition("#")[0].strip())]


def _parse_variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")
