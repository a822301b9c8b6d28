"""The plugins that installed distributions offer as entry points."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from trialrun.plugins.plugin import Plugin
from trialrun_hookspecs.errors import PluginError, PluginRefused
from trialrun_hookspecs.markers import PROJECT_NAME

__all__ = ["InstalledPlugin", "discover_plugins", "find_installed", "list_installed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """One entry point of group `trialrun`: the plugin, or the error that loading it gave."""

    name: str
    value: str
    distribution: str
    plugin: Plugin | None = None
    error: PluginError | None = None


def discover_plugins() -> list[InstalledPlugin]:
    """Load every installed plugin, in the order of their names; a broken one comes with its error."""
    return [_load_entry(point) for point in sorted(entry_points(group=PROJECT_NAME), key=lambda p: (p.name, p.value))]


def list_installed() -> list[str]:
    """Give the names of the installed plugins; none is loaded."""
    return sorted({point.name for point in entry_points(group=PROJECT_NAME)})


def find_installed(name: str) -> EntryPoint | None:
    """Give the entry point of that name, or None; raises PluginRefused when two differ."""
    points = {point.value: point for point in entry_points(group=PROJECT_NAME, name=name)}
    if len(points) > 1:
        raise PluginRefused(
            "an installed plugin's name must be unique",
            where=f"plugin {name!r}",
            got=" and ".join(sorted(points)),
            fix=f"Hand one over by its dotted path, such as `--plugin {min(points)}`.",
        )
    return next(iter(points.values()), None)


def _load_entry(point: EntryPoint) -> InstalledPlugin:
    from trialrun.plugins.loading import load_installed  # it looks entry points up here, so it stands above

    distribution = point.dist.name if point.dist else ""
    try:
        plugin = load_installed(point)
    except PluginError as error:
        return InstalledPlugin(name=point.name, value=point.value, distribution=distribution, error=error)
    return InstalledPlugin(name=point.name, value=point.value, distribution=distribution, plugin=plugin)
