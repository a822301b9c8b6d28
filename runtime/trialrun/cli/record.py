"""`trialrun record`: the recorder alone, until it is told to end."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import click

from trialrun.cli.jobs import Problems, fixtures

__all__ = ["command"]


@click.command("record", context_settings={"show_default": True})
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option("--db", metavar="PATH", help="Record into this SQLite file; else into a temporary one.")
@click.option("--dataset", "datasets", multiple=True, metavar="ID=PATH|NAME", help="What it serves as dataset ID.")
@click.option("--checkpoint", "checkpoints", multiple=True, metavar="ID=PATH", help="What it serves as model ID.")
@click.option("--strict", is_flag=True, help="Refuse what the platform refuses; else everything is taken.")
@click.option("--host", default="127.0.0.1", help="The address to listen at.")
@click.option("--allow-remote", is_flag=True, help="Let --host be one that other machines reach.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print url, token and db as one line of JSON.")
def command(
    port: int,
    db: str | None,
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    strict: bool,
    host: str,
    allow_remote: bool,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Start the recorder, print its URL and token, and serve until Ctrl-C."""
    from trialrun.recorder import Recorder

    served = _served(datasets, checkpoints)
    with (
        _told_to_end() as end,
        Recorder(db, strict=strict, fixtures=served) as recorder,
        recorder.server(host, port, allow_remote=allow_remote) as server,
    ):
        facts = {"url": server.url, "token": server.token, "db": str(recorder.path.absolute())}
        if as_json:
            click.echo(json.dumps(facts, ensure_ascii=False))
        else:
            click.echo("\n".join(f"{key:<6} {value}" for key, value in facts.items()))
            kept = "" if db else "; the recording is removed then, --db PATH keeps it"
            click.echo(f"recording until Ctrl-C{kept}", err=True)
        end.wait(seconds)


def _served(datasets: tuple[str, ...], checkpoints: tuple[str, ...]) -> Any:
    """The fixtures, read; a dataset may be a path or one that an installed plugin offers."""
    from trialrun.engine.places import fixtures_of, offers_of
    from trialrun.plugins import Manager

    problems = Problems()
    named, models = fixtures(datasets, "--dataset", problems), fixtures(checkpoints, "--checkpoint", problems)
    problems.refuse()
    return fixtures_of(named, models, offers_of(Manager(), named))


@contextlib.contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by SIGTERM: both are the normal end of a server."""
    end = threading.Event()
    before = {number: signal.signal(number, lambda *_: end.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
