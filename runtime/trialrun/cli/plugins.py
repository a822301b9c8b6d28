"""`trialrun plugins`: what is installed, and what is wrong with it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli.streams import reserve_stdout
from trialrun.cli.text import clean

if TYPE_CHECKING:
    from trialrun.plugins import InstalledPlugin

__all__ = ["command"]


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print one list of objects.")
def command(as_json: bool) -> None:
    """List the plugins that installed packages offer, with their hooks; broken ones with the reason."""
    from trialrun.plugins import discover_plugins

    with reserve_stdout() if as_json else contextlib.nullcontext():
        found = discover_plugins()
    if as_json:
        click.echo(json.dumps([_plugin_to_json(plugin) for plugin in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("no plugins are installed (entry points of group trialrun)", err=True)
        return
    names = max(len(clean(plugin.name)) for plugin in found)
    for plugin in found:
        click.echo(f"{clean(plugin.name):<{names}}  {_format_plugin(plugin)}")


def _format_plugin(plugin: InstalledPlugin) -> str:
    if plugin.plugin is not None:
        return f"{', '.join(plugin.plugin.hooks)}  ({clean(plugin.value)}, of {clean(plugin.distribution)})"
    return f"broken: {clean(plugin.error)}"


def _plugin_to_json(plugin: InstalledPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "value": plugin.value,
        "distribution": plugin.distribution,
        "hooks": list(plugin.plugin.hooks) if plugin.plugin is not None else [],
        "problems": [str(problem) for problem in plugin.error.problems] if plugin.error is not None else [],
    }
