"""The entry points by which installed distributions offer plugins."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from trialrun_hookspecs.errors import PluginRefused
from trialrun_hookspecs.markers import PROJECT_NAME

__all__ = ["find_installed", "list_entry_points", "list_installed"]


def list_entry_points() -> list[EntryPoint]:
    """Return the entry points of all installed plugins, by name."""
    return sorted(entry_points(group=PROJECT_NAME), key=lambda point: (point.name, point.value))


def list_installed() -> list[str]:
    """Return the names of the installed plugins; none is loaded."""
    return sorted({point.name for point in entry_points(group=PROJECT_NAME)})


def find_installed(name: str) -> EntryPoint | None:
    """Return the entry point of that name, or None; raises PluginRefused when two differ."""
    points = {point.value: point for point in entry_points(group=PROJECT_NAME, name=name)}
    if len(points) > 1:
        raise PluginRefused(
            "an installed plugin's name must be unique",
            where=f"plugin {name!r}",
            got=" and ".join(sorted(points)),
            fix=f"Name one by its dotted path, such as `--plugin {min(points)}`.",
        )
    return next(iter(points.values()), None)
