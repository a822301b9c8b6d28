"""The interface of search algorithms: ask for a point, tell its objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from trialrun.space import Primitive

__all__ = ["Algorithm", "Factory", "Mode", "Point"]

Mode = Literal["max", "min"]
Point = dict[str, Any]


class Algorithm(Protocol):
    """An ask/tell algorithm over primitives. Several trials may run at once."""

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point | None:
        """Return the next point (a value per primitive) for this trial, or None when there are no more.

        `fixed` are values that the point must have, because the user asked for them.
        """

    def tell(self, trial_id: str, value: float | None) -> None:
        """Take the objective that the trial reached, as reported, or None when it failed. Unknown ids are ignored."""

    def state(self) -> Any:
        """Return plain JSON data from which `restore` continues."""

    def restore(self, state: Any) -> None:
        """Continue from `state`."""


class Factory(Protocol):
    """A function that creates an algorithm. Raises UsageError for unknown options."""

    def __call__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> Algorithm: ...
