"""Probes: functions that checks run in the child process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from trialrun.plugins import Plugin, load_plugin
from trialrun.testing.scenario import Scenario

__all__ = ["find_largest_value", "load_again"]

_DEEP = 3
_MANY = 20_000


def load_again(plugin: Plugin, scenario: Scenario) -> list[str]:
    """Load the plugin a second time in this process, and return the names of its hooks."""
    return sorted(load_plugin(scenario.plugin, need_train=True).hooks)


def find_largest_value(plugin: Plugin, scenario: Scenario) -> dict[str, Any]:
    """Return name and size in bytes of the largest value in the plugin's module or in closures of its hooks."""
    biggest = max(_measure_values(plugin), key=lambda held: held[1], default=("nothing", 0))
    return {"name": biggest[0], "bytes": biggest[1]}


def _measure_values(plugin: Plugin) -> Iterator[tuple[str, int]]:
    space = vars(plugin.code) if isinstance(plugin.code, ModuleType) else getattr(plugin.code, "__dict__", {})
    for name, value in list(space.items()):
        if not name.startswith("__") and not isinstance(value, ModuleType | type):
            yield name, _estimate_size(value, _DEEP)
    for name, hook in plugin.hooks.items():
        function = getattr(hook.function, "__func__", hook.function)
        cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
        for value in (*cells, *(getattr(function, "__defaults__", None) or ())):
            yield f"the closure of {name}()", _estimate_size(value, _DEEP)


def _estimate_size(value: Any, depth: int) -> int:
    owned = getattr(value, "nbytes", None)
    size = owned if isinstance(owned, int) else sys.getsizeof(value, 64)
    if depth and isinstance(value, dict | list | tuple | set):
        items = list(value.values()) if isinstance(value, dict) else list(value)
        seen = items[:_MANY]
        inner = sum(_estimate_size(item, depth - 1) for item in seen)
        size += inner * len(items) // max(len(seen), 1)
    return int(size)
