"""What a search algorithm is to trialrun: ask for a point, tell what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from trialrun.space import Primitive

__all__ = ["Algorithm", "Factory", "Mode", "Point"]

Mode = Literal["max", "min"]
Point = dict[str, Any]


class Algorithm(Protocol):
    """An ask/tell algorithm over primitives. Several trials may be open at once."""

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point | None:
        """The next point (a value per primitive) for this trial; None: there is nothing more to try.

        `fixed` are values that the point must have: what the user asked to be tried.
        """

    def tell(self, trial_id: str, value: float | None) -> None:
        """The objective that the trial reached, as reported; None when it failed. Unknown ids are ignored."""

    def state(self) -> Any:
        """All that `restore` needs to go on, as plain data that JSON can hold."""

    def restore(self, state: Any) -> None:
        """Go on from `state`."""


class Factory(Protocol):
    """How an algorithm is made. Raises UsageError for options it does not know."""

    def __call__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> Algorithm: ...
