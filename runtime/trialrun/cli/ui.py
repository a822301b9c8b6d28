"""`trialrun ui`: the page of recordings, of runs under way and of old ones."""

from __future__ import annotations

from pathlib import Path

import click

from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("ui", context_settings={"show_default": True})
@click.argument("path", default=layout.RESULTS_ROOT, metavar="[DIR|SQLITE]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", help="The address to listen at.")
@click.option("--allow-remote", is_flag=True, help="Let --host be one that other machines reach.")
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so many seconds.")
def command(path: str, port: int, host: str, allow_remote: bool, open_: bool, seconds: float | None) -> None:
    """Show recordings in the browser, until Ctrl-C.

    DIR is a results folder, or one that holds results folders; a single recorder.sqlite will do too. Nothing is
    changed, and a run that is still under way is shown live.
    """
    from trialrun.cli.record import catch_stop_signals
    from trialrun.recordings.library import Library
    from trialrun.web.server import LoopbackServer

    root = _check_root(path)
    with (
        catch_stop_signals() as end,
        LoopbackServer(Library(root), host=host, port=port, allow_remote=allow_remote, token=None) as server,
    ):
        click.echo(server.page_url)
        if open_:
            click.launch(server.page_url)
        end.wait(seconds)


def _check_root(path: str) -> Path:
    root = Path(path)
    if root.is_file():
        from trialrun.recorder.store import Store

        Store(root, readonly=True).close()  # says what is wrong with it
        return root
    if not root.is_dir():
        fix = f"Name a results folder, or a {layout.RECORDING} file."
        raise UsageError("must be a folder of results or a recording", where="PATH", got=f"{path}: not there", fix=fix)
    return root
