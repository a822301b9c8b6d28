"""What checks do with a plugin inside of the child process."""

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
    """Load the plugin a second time, as another one's worker does; say which hooks there are then."""
    return sorted(load_plugin(scenario.plugin, need_train=True).hooks)


def find_largest_value(plugin: Plugin, scenario: Scenario) -> dict[str, Any]:
    """The biggest thing that the plugin's module, or what its hooks captured, holds."""
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
