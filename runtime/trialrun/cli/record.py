"""`trialrun record`: the recorder alone, until it is told to end."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trialrun.cli.jobs import Problems, parse_fixtures
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recorder import Fixtures, Recorder

__all__ = ["catch_stop_signals", "command"]


@click.command("record", context_settings={"show_default": True})
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option("--db", metavar="PATH", help="Record into this SQLite file; else into a temporary one.")
@click.option("--dataset", "datasets", multiple=True, metavar="ID=PATH|NAME", help="What it serves as dataset ID.")
@click.option("--checkpoint", "checkpoints", multiple=True, metavar="ID=PATH", help="What it serves as model ID.")
@click.option("--strict", is_flag=True, help="Refuse what the platform refuses; else everything is taken.")
@click.option("--host", default="127.0.0.1", help="The address to listen at.")
@click.option("--allow-remote", is_flag=True, help="Let --host be one that other machines reach.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print url, token, db and page as one line of JSON.")
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
    served = _load_fixtures(datasets, checkpoints)
    with (
        catch_stop_signals() as end,
        _create_recorder(db, strict, served) as recorder,
        recorder.server(host, port, allow_remote=allow_remote) as server,
    ):
        if server.remote:
            click.echo(
                f"warning: other machines can reach the recorder at {host}; only its token protects it", err=True
            )
        facts = {"url": server.url, "token": server.token, "db": str(recorder.path.absolute()), "page": server.page_url}
        if as_json:
            click.echo(json.dumps(facts, ensure_ascii=False))
        else:
            click.echo("\n".join(f"{key:<6} {value}" for key, value in facts.items()))
            kept = "" if db else "; the recording is removed then, --db PATH keeps it"
            click.echo(f"recording until Ctrl-C{kept}", err=True)
        end.wait(seconds)


def _load_fixtures(datasets: tuple[str, ...], checkpoints: tuple[str, ...]) -> Fixtures:
    """The fixtures, read; a dataset may be a path or one that an installed plugin offers."""
    from trialrun.engine.backends import build_fixtures, named_datasets
    from trialrun.plugins import Manager

    problems = Problems()
    named, models = (
        parse_fixtures(datasets, "--dataset", problems),
        parse_fixtures(checkpoints, "--checkpoint", problems),
    )
    problems.raise_if_any()
    return build_fixtures(named, models, named_datasets(Manager(), named))


def _create_recorder(db: str | None, strict: bool, served: Fixtures) -> Recorder:
    from trialrun.recorder import Recorder

    if db is not None and Path(db).is_dir():
        raise UsageError("must be a file", where="--db", got="a folder", fix="Name a file in it.")
    try:
        return Recorder(db, strict=strict, fixtures=served)
    except OSError as error:
        fix = "Name a file in a folder that can be written to."
        raise UsageError("cannot be made", where="--db", got=f"{db} ({error.strerror})", fix=fix) from None


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by SIGTERM: both are the normal end of a server."""
    end = threading.Event()
    before = {number: signal.signal(number, lambda *_: end.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
