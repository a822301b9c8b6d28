"""`trialrun submit`: a job run by a cluster, as a Ray Job."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("submit", context_settings={"show_default": True, "ignore_unknown_options": True})
@click.option(
    "--address", metavar="URL", help="The cluster's dashboard, http://HEAD:8265; else RAY_API_SERVER_ADDRESS."
)
@click.option("--working-dir", default=".", metavar="DIR", help="The folder that is sent along; JOB is in it.")
@click.option("--requirements", metavar="FILE", help="Libraries that the plugin needs, as pip reads them.")
@click.option("--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="A variable to set there; no secrets.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the cluster has the job.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent.")
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
    """Send `trialrun run JOB …` to a cluster; what it prints is shown, and its end is this command's.

    The working directory travels, without version control, environments, results and files that look like keys.
    Paths are those within it, and --results must be storage that the nodes share.
    """
    from trialrun.executors.ray_tune import ray_job

    folder = Path(working_dir).absolute()
    if not folder.is_dir():
        raise UsageError("must be a folder", where="--working-dir", got=working_dir, fix="Name the job's folder.")
    if not arguments:
        raise UsageError("must be named", where="JOB", got="nothing", fix="Write trialrun submit … JOB --plugin P.")
    env = ray_job.build_runtime_env(folder, _read_requirements(requirements), dict(map(_parse_variable, variables)))
    entry = f"python -m trialrun run {shlex.join(arguments)} --address auto"
    if dry_run:
        import json

        click.echo(json.dumps({"entrypoint": entry, "runtime_env": env}, indent=2))
        return
    client, sent = ray_job.send_job(ray_job.resolve_dashboard(address), entry, env)
    click.echo(f"job {sent}", err=True)
    if no_wait:
        return
    status = ""
    for status in ray_job.follow_job(client, sent):
        if status not in ("SUCCEEDED", "FAILED", "STOPPED"):
            click.echo(status, nl=False)
    click.echo(f"job {sent}: {status}", err=True)
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
