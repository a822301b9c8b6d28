"""`trialrun ui`: show recordings in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from trialrun.cli.options import add_server_options
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["command"]


@click.command("ui", context_settings={"show_default": True})
@click.argument("path", default=layout.RESULTS_ROOT, metavar="[DIR|SQLITE]")
@add_server_options
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
def command(path: str, port: int, host: str, allow_remote: bool, open_: bool, seconds: float | None) -> None:
    """Show recordings in the browser.

    DIR is a results folder, or a folder of results folders; a single recorder.sqlite works too. Default:
    trialrun-results. It serves until Ctrl-C. Nothing is changed, and a run that is still running is shown live.
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

        Store(root, readonly=True).close()  # raises where it is not a recording
        return root
    if not root.is_dir():
        fix = f"Name a results folder, or a {layout.RECORDING} file."
        raise UsageError("must be a folder of results or a recording", where="PATH", got=f"{path}: not there", fix=fix)
    return root
