"""`trialrun plugins`: list the installed plugins."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.options import add_json_flag
from trialrun.cli.output import print_json
from trialrun.cli.streams import reserve_stdout
from trialrun.cli.text import align_columns, clean

if TYPE_CHECKING:
    from trialrun.plugins import InstalledPlugin

__all__ = ["command"]


@click.command("plugins")
@add_json_flag("Print a JSON list of objects.")
def command(as_json: bool) -> None:
    """List the installed plugins and their hooks.

    A plugin is an entry point of the group trialrun. For a broken plugin the reason is shown.
    """
    from trialrun.plugins import discover_plugins

    with reserve_stdout() if as_json else contextlib.nullcontext():
        plugins = discover_plugins()
    if as_json:
        print_json([_plugin_to_json(plugin) for plugin in plugins])
    elif plugins:
        columns = [clean(plugin.name) for plugin in plugins], [_format_plugin(plugin) for plugin in plugins]
        click.echo("\n".join(align_columns(columns)))
    else:
        click.echo("no plugins are installed (entry points of group trialrun)", err=True)


def _format_plugin(plugin: InstalledPlugin) -> str:
    if plugin.plugin is not None:
        return f"{', '.join(plugin.plugin.hooks)}  ({clean(plugin.value)}, from {clean(plugin.distribution)})"
    return f"broken: {clean(plugin.error)}"


def _plugin_to_json(plugin: InstalledPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "value": plugin.value,
        "distribution": plugin.distribution,
        "hooks": list(plugin.plugin.hooks) if plugin.plugin is not None else [],
        "problems": [str(problem) for problem in plugin.error.problems] if plugin.error is not None else [],
    }
