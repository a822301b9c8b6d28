"""The numbers of an event and their step, as `report` hooks write them."""

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
    """Yield each number in nested metrics, NaN included, with its name: `prefix`, then the keys joined by `/`."""
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from flatten_numbers(value, f"{prefix}{key}/")
        elif _is_number(value):
            yield f"{prefix}{key}", value


def find_step(facts: Mapping[str, Any]) -> int | None:
    """Return the step that the plugin reported, if any."""
    return next((int(facts[key]) for key in _STEP_KEYS if _is_number(facts.get(key))), None)


def read_wall_time(event: Event) -> float:
    """Return the time of the report in seconds since 1970, or the present time when the event has none."""
    return datetime.fromisoformat(event.time).timestamp() if event.time else time.time()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
