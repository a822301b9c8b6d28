"""A search algorithm hook: a Halton sequence, which fills the space more evenly than random points.

    "search_alg": {"name": "halton", "options": {"skip": 0}}

In each dimension, point number i has the digits of i in that dimension's prime base, mirrored at the radix point (van
der Corput). The seed permutes the digits and shifts the points, so that seeds differ and the first points of many
dimensions do not lie on a line.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from typing import Any

from trialrun_hookspecs import UsageError, hookimpl

__all__ = ["Halton", "make_halton", "search_algorithms"]


@hookimpl
def search_algorithms() -> Mapping[str, Callable[..., Any]]:
    return {"halton": make_halton}


def make_halton(
    primitives: Mapping[str, Any],
    *,
    mode: str,
    seed: int,
    options: Mapping[str, Any],
) -> Halton:
    """Return the algorithm; `mode` has no effect, because no point depends on earlier results."""
    skip = options.get("skip", 0)
    unknown = sorted(set(options) - {"skip"})
    if unknown:
        raise UsageError("the only option is 'skip'", where="search_alg.options", got=", ".join(map(repr, unknown)))
    if type(skip) is not int or skip < 0:
        raise UsageError("must be a whole number of at least 0", where="search_alg.options.skip", got=repr(skip))
    return Halton(primitives, seed=seed, skip=skip)


class Halton:
    """The points of the sequence, one per `ask`, without end."""

    def __init__(self, primitives: Mapping[str, Any], *, seed: int, skip: int = 0) -> None:
        self._primitives = dict(primitives)
        self._asked = skip
        self._set_seed(seed)

    def _set_seed(self, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - nothing here is secret
        self._seed = seed
        self._dimensions = [_Dimension(prime, rng) for prime in islice(_generate_primes(), len(self._primitives))]

    def ask(self, trial_id: str, fixed: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        self._asked += 1
        units = (dimension.compute_value(self._asked) for dimension in self._dimensions)
        point = {
            name: _scale_unit(self._primitives[name], unit) for name, unit in zip(self._primitives, units, strict=True)
        }
        return {**point, **(fixed or {})}

    def tell(self, trial_id: str, value: float | None) -> None:
        """Do nothing: the sequence does not learn from results."""

    def state(self) -> dict[str, int]:
        return {"seed": self._seed, "asked": self._asked}

    def restore(self, state: Mapping[str, int]) -> None:
        self._set_seed(state["seed"])
        self._asked = state["asked"]


class _Dimension:
    """A van der Corput sequence in one base, permuted and shifted."""

    def __init__(self, base: int, rng: random.Random) -> None:
        self._base = base
        self._shift = rng.random()
        self._digits = [0, *rng.sample(range(1, base), base - 1)]  # 0 stays: no endless digits

    def compute_value(self, index: int) -> float:
        """Return the number in [0, 1) at `index`."""
        unit, place = 0.0, 1.0
        while index:
            index, digit = divmod(index, self._base)
            place /= self._base
            unit += place * self._digits[digit]
        return (unit + self._shift) % 1.0


def _scale_unit(primitive: Any, unit: float) -> float | int:
    if primitive.kind == "real":
        return float(min(primitive.low + unit * (primitive.high - primitive.low), primitive.high))
    if primitive.kind == "integer":
        return int(primitive.low + int(unit * (primitive.high - primitive.low + 1)))
    return int(unit * primitive.size)


def _generate_primes() -> Iterator[int]:
    found: list[int] = []
    for candidate in count(2):
        if all(candidate % prime for prime in found):
            found.append(candidate)
            yield candidate
