"""Random and grid search: every grid point, and other values drawn by each distribution's law."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trialrun.search.base import Point
from trialrun.space import Category, FixedValue, Space

__all__ = ["Variants"]


class Variants:
    """The grid in the job's order, once per sample; the first samples take the values of the points to evaluate.

    A point that fixes a grid parameter shrinks the grid of its sample, and points beyond the samples are tried too, as
    in Ray's own generator.
    """

    def __init__(self, space: Space, points: Sequence[Mapping[str, Any]] = (), *, samples: int, seed: int) -> None:
        self._primitives = space.build_primitives()
        self._sizes = {name: p.size for name in space.grid_names if isinstance(p := self._primitives[name], Category)}
        self._points = [dict(point) for point in points]
        self._samples = max(samples, len(self._points))
        self._rng = random.Random(seed)  # noqa: S311  # nothing here is secret
        self._asked = 0
        self._plan = self._iter_variants()

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point | None:
        variant = next(self._plan, None)
        if variant is None:
            return None
        self._asked += 1
        drawn: dict[str, Any] = {name: p.sample(self._rng) for name, p in self._primitives.items()}
        return {**drawn, **variant, **(fixed or {})}

    def tell(self, trial_id: str, value: float | None) -> None:
        """Do nothing: random search does not learn."""

    def state(self) -> Any:
        version, numbers, gauss = self._rng.getstate()
        return {"asked": self._asked, "rng": [version, list(numbers), gauss]}

    def restore(self, state: Any) -> None:
        version, numbers, gauss = state["rng"]
        self._asked = state["asked"]
        self._plan = itertools.islice(self._iter_variants(), self._asked, None)
        self._rng.setstate((version, tuple(numbers), gauss))

    def _iter_variants(self) -> Iterator[Point]:
        """Yield the fixed values of each trial in turn: its place in the grid, and its point to evaluate."""
        for index in range(self._samples):
            point = self._points[index] if index < len(self._points) else {}
            fixed = {name: FixedValue(value=value) for name, value in point.items()}
            free = [name for name in self._sizes if name not in point]
            for place in itertools.product(*(range(self._sizes[name]) for name in free)):
                yield {**dict(zip(free, place, strict=True)), **fixed}
