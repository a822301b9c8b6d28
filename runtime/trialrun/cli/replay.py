"""`trialrun replay`: send a recording to a backend again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from trialrun.cli import text
from trialrun_hookspecs.errors import BadValue, UsageError

if TYPE_CHECKING:
    from trialrun.backend.transport import Call, Transport

__all__ = ["command"]

_MAX_REFUSED = 20
_LONG = 200


@click.command("replay", context_settings={"show_default": True})
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--to", "url", required=True, metavar="URL", help="Send to this backend.")
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, metavar="X", help="Send X times faster; 0: no pauses."
)
@click.option("--job", "jobs", multiple=True, metavar="ID=ID", help="Map a job id to the backend's. Repeatable.")
def command(path: str, url: str, speed: float, jobs: tuple[str, ...]) -> None:
    """Send a recording to a backend again.

    Log entries, uploads, models and job updates are sent. Tokens come from the environment: TRIALRUN_ACCESS_TOKEN,
    TRIALRUN_AUTHORIZATION, TRIALRUN_TENANT, TRIALRUN_AGENT. Idempotency keys are kept, so a second replay stores
    nothing new. The exit code is 1 when a call was refused.
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.replay import Replay

    mapped = dict(_parse_job_pair(words) for words in jobs)
    refusals: list[str] = []

    def report_call(call: Call, refused: str) -> None:
        if refused:
            refusals.append(refused)
            if len(refusals) <= _MAX_REFUSED:
                click.echo(f"refused: {text.clean(call)}: {text.truncate(text.clean(refused), _LONG)}", err=True)

    with open_study(path) as study, _connect_backend(url) as transport:
        replay = Replay(
            study=study, transport=transport, jobs=mapped, speed=speed, sleep=time.sleep, on_call=report_call
        )
        total = replay.count_calls()
        click.echo(f"{total} calls to {text.clean(url)}", err=True)
        replay.run()
    click.echo(
        f"{replay.sent - replay.refused} accepted, {replay.refused} refused, {total - replay.sent} without content"
    )
    if replay.refused:
        click.echo("A backend refuses calls for a job that it does not know: map the job with --job ID=ID.", err=True)
        click.get_current_context().exit(1)


def _parse_job_pair(words: str) -> tuple[int, int]:
    matched = re.fullmatch(r"([0-9]{1,18})=([0-9]{1,18})", words)
    if matched is None:
        raise UsageError("must be ID=ID", where="--job", got=repr(words), fix="Write it such as 1=77.")
    return int(matched[1]), int(matched[2])


@contextmanager
def _connect_backend(url: str) -> Iterator[Transport]:
    from trialrun.backend.http import Http
    from trialrun.backend.retry import Retry
    from trialrun.engine.backends import read_tokens

    try:
        transport = Http(url, read_tokens(os.environ))
    except BadValue as error:
        raise UsageError(problems=error.problems) from None
    try:
        yield Retry(transport)
    finally:
        transport.close()
