"""What `report` hooks write of an event: its numbers, and the step that they belong to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trialrun_hookspecs import Event

__all__ = ["find_step", "flatten_numbers", "read_wall_time"]

_STEP_KEYS = ("epoch", "step", "iteration")


def flatten_numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested metrics, NaN among them, each with its name: `prefix`, then the keys with `/` between."""
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from flatten_numbers(value, f"{prefix}{key}/")
        elif _is_number(value):
            yield f"{prefix}{key}", value


def find_step(facts: Mapping[str, Any]) -> int | None:
    """The step that the plugin gave, if it gave one."""
    return next((int(facts[key]) for key in _STEP_KEYS if _is_number(facts.get(key))), None)


def read_wall_time(event: Event) -> float:
    """When it was reported, in seconds since 1970; now, if it does not say."""
    return datetime.fromisoformat(event.time).timestamp() if event.time else time.time()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
