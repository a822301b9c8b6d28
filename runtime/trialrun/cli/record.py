"""`trialrun record`: run the recorder on its own."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trialrun.cli.jobs import Problems, parse_fixtures
from trialrun.cli.options import add_fixture_options, add_json_flag, add_server_options
from trialrun.cli.output import print_json
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recorder import Fixtures, Recorder

__all__ = ["catch_stop_signals", "command"]


@click.command("record", context_settings={"show_default": True})
@click.option("--db", metavar="PATH", help="Record into this SQLite file. Default: a temporary file.")
@add_fixture_options
@click.option("--strict", is_flag=True, help="Refuse what the platform refuses. Default: accept everything.")
@add_server_options
@add_json_flag("Print url, token, db and page as one line of JSON.")
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
    """Start the recorder on its own, for any client.

    It prints its URL and token, and serves until Ctrl-C.
    """
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
            print_json(facts, indent=None)
        else:
            for key, value in facts.items():
                click.echo(f"{'web UI' if key == 'page' else key:<6} {value}")
            note = "" if db else "; then the recording is deleted: keep it with --db PATH"
            click.echo(f"recording until Ctrl-C{note}", err=True)
        end.wait(seconds)


def _load_fixtures(datasets: tuple[str, ...], checkpoints: tuple[str, ...]) -> Fixtures:
    """Return the loaded fixtures; a dataset is a path or the name of one that an installed plugin offers."""
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
        raise UsageError("must be a file", where="--db", got="a folder", fix="Name a file in that folder.")
    try:
        return Recorder(db, strict=strict, fixtures=served)
    except OSError as error:
        fix = "Name a file in a writable folder."
        raise UsageError("cannot be created", where="--db", got=f"{db} ({error.strerror})", fix=fix) from None


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: both are the normal end of a server."""
    end = threading.Event()
    before = {number: signal.signal(number, lambda *_: end.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
