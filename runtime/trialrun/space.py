"""The meaning of each distribution: its support, its samples, and its primitive, which is all a search library sees.

Every distribution decodes one of three primitives: `Real`, `Integer`, `Category`. A primitive drawn uniformly decodes
to the distribution's own law, which is Ray's of the same name: the ends of a quniform are half as likely as the values
between them. `decode(encode(v))` is v on the support; for loguniform up to rounding, and for randn within 6 standard
deviations. A value that must not be changed goes into a point as a `FixedValue`.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from statistics import NormalDist
from typing import Any, ClassVar

from trialrun.numbers import is_finite_number
from trialrun_hookspecs.distributions import (
    Choice,
    Constant,
    DistributionBase,
    Expression,
    GridSearch,
    LogRandint,
    LogUniform,
    QLogRandint,
    QLogUniform,
    QRandint,
    QRandn,
    QUniform,
    Randint,
    Randn,
    Uniform,
)
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.expressions import BadExpression, evaluate_expression, names_in, parse_expression

__all__ = [
    "CODECS",
    "Category",
    "Codec",
    "FixedValue",
    "Integer",
    "Primitive",
    "Real",
    "Space",
    "flatten_values",
    "nest_values",
    "round_to_step",
]

_TAIL = 1e-9  # normals are searched within 6 standard deviations on either side
_CLOSE = 1e-12  # relative: rounding may carry a float this far beyond a bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A float in [low, high]; `snap`, if any, maps all floats that decode to one value to one of them."""

    low: float
    high: float
    snap: Callable[[float], float] | None = field(default=None, compare=False, repr=False)
    kind: ClassVar[str] = "real"

    def sample(self, rng: random.Random) -> float:
        return rng.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """An integer in [low, high], both included."""

    low: int
    high: int
    kind: ClassVar[str] = "integer"

    def sample(self, rng: random.Random) -> int:
        return rng.randint(self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """An index below `size`; the order means nothing."""

    size: int
    kind: ClassVar[str] = "category"

    def sample(self, rng: random.Random) -> int:
        return rng.randrange(self.size)


Primitive = Real | Integer | Category


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedValue:
    """The hyperparameter's value itself, in the place of its primitive's value."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """The functions of one distribution: to its primitive and back, and the test for the values it can take.

    `plain` returns a value of the support in the form that `decode` gives: 5 as 5.0 for uniform, 5.0 as 5 for randint.
    """

    primitive: Callable[[Any], Primitive]
    decode: Callable[[Any, Any], Any]
    encode: Callable[[Any, Any], Any]
    contains: Callable[[Any, Any], bool]
    plain: Callable[[Any, Any], Any]


def _is_integer(value: Any) -> bool:
    """Return whether it is a whole number; 5.0 is one, since JSON has one number type."""
    return is_finite_number(value) and value == int(value)


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def round_to_step(value: float, q: float) -> float:
    """Return the multiple of `q` nearest to `value`, computed in decimals: 3 x 0.1 is 0.3."""
    return float(Decimal(repr(q)) * round(value / q))


def _is_multiple(value: float, q: float) -> bool:
    """Return whether `value` is a multiple of `q` up to float rounding: 0.30000000000000004 is 3 x 0.1."""
    return abs(value - round_to_step(value, q)) <= 4 * math.ulp(value)


def _is_in_range(d: Any, value: Any) -> bool:
    return is_finite_number(value) and d.min - _CLOSE * abs(d.min) <= value <= d.max + _CLOSE * abs(d.max)


def _normal_dist(d: Any) -> NormalDist:
    return NormalDist(d.mean, d.sd)


def _log_bounds(d: Any) -> Real:
    return Real(low=math.log(d.min), high=math.log(d.max))


def _log_steps(d: Any) -> Real:
    """Return the logarithms of the steps: Ray draws a quantised integer by its index, floors it, includes the top."""
    return Real(low=math.log(d.min // d.q), high=math.log(d.max // d.q + 1))


def _to_quantile(d: Any, value: float) -> float:
    return _clip(_normal_dist(d).cdf(value), _TAIL, 1 - _TAIL)


def _option_index(d: Any, value: Any) -> int:
    """Return the index of `value` among the options, or -1. 1 and true are two values; 1 and 1.0 are the same."""
    for form in (_to_exact_json, _to_loose_json):
        wanted = form(value)
        for index, option in enumerate(d.options):
            if form(option) == wanted:
                return index
    return -1


def _to_exact_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _to_loose_json(value: Any) -> str:
    return json.dumps(_normalize_numbers(value), sort_keys=True)


def _normalize_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _normalize_numbers(item) for key, item in value.items()}
    return [_normalize_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def _copy_option(d: Any, index: Any) -> Any:
    return copy.deepcopy(d.options[int(index)])  # a copy: a trial may change its own


def _clip_float(value: float, d: Any) -> float:
    return _clip(float(value), d.min, d.max)


def _clip_multiple(value: float, d: Any) -> float:
    return _clip(round_to_step(value, d.q), d.min, d.max)


_OPTIONS = Codec(
    primitive=lambda d: Category(size=len(d.options)),
    decode=_copy_option,
    encode=_option_index,
    contains=lambda d, v: _option_index(d, v) >= 0,
    plain=lambda d, v: _copy_option(d, _option_index(d, v)),
)

# Ray floors a log integer (its top is excluded) and rounds a quantised float.
CODECS: dict[type[DistributionBase], Codec] = {
    Uniform: Codec(
        primitive=lambda d: Real(low=d.min, high=d.max),
        decode=lambda d, x: _clip_float(x, d),
        encode=lambda d, v: _clip_float(v, d),
        contains=_is_in_range,
        plain=lambda d, v: _clip_float(v, d),
    ),
    QUniform: Codec(
        primitive=lambda d: Real(low=d.min, high=d.max),
        decode=lambda d, x: _clip_multiple(x, d),
        encode=lambda d, v: _clip_multiple(v, d),
        contains=lambda d, v: _is_in_range(d, v) and _is_multiple(v, d.q),
        plain=lambda d, v: _clip_multiple(v, d),
    ),
    LogUniform: Codec(
        primitive=_log_bounds,
        decode=lambda d, x: _clip_float(math.exp(x), d),
        encode=lambda d, v: math.log(_clip_float(v, d)),
        contains=_is_in_range,
        plain=lambda d, v: _clip_float(v, d),
    ),
    QLogUniform: Codec(
        primitive=_log_bounds,
        decode=lambda d, x: _clip_multiple(math.exp(x), d),
        encode=lambda d, v: math.log(_clip_multiple(v, d)),
        contains=lambda d, v: _is_in_range(d, v) and _is_multiple(v, d.q),
        plain=lambda d, v: _clip_multiple(v, d),
    ),
    Randn: Codec(
        primitive=lambda d: Real(low=_TAIL, high=1 - _TAIL),
        decode=lambda d, x: _normal_dist(d).inv_cdf(_clip(x, _TAIL, 1 - _TAIL)),
        encode=_to_quantile,
        contains=lambda d, v: is_finite_number(v),
        plain=lambda d, v: float(v),
    ),
    QRandn: Codec(
        primitive=lambda d: Real(low=_TAIL, high=1 - _TAIL),
        decode=lambda d, x: round_to_step(_normal_dist(d).inv_cdf(_clip(x, _TAIL, 1 - _TAIL)), d.q),
        encode=_to_quantile,
        contains=lambda d, v: is_finite_number(v) and math.isfinite(v / d.q) and _is_multiple(v, d.q),
        plain=lambda d, v: round_to_step(v, d.q),
    ),
    Randint: Codec(
        primitive=lambda d: Integer(low=d.min, high=d.max - 1),
        decode=lambda d, x: int(x),
        encode=lambda d, v: int(v),
        contains=lambda d, v: _is_integer(v) and d.min <= v < d.max,
        plain=lambda d, v: int(v),
    ),
    QRandint: Codec(
        primitive=lambda d: Integer(low=d.min // d.q, high=d.max // d.q),
        decode=lambda d, x: int(x) * d.q,
        encode=lambda d, v: int(v) // d.q,
        contains=lambda d, v: _is_integer(v) and d.min <= v <= d.max and int(v) % d.q == 0,
        plain=lambda d, v: int(v),
    ),
    LogRandint: Codec(
        primitive=_log_bounds,
        decode=lambda d, x: min(max(math.floor(math.exp(x)), d.min), d.max - 1),
        encode=lambda d, v: min(math.log(int(v) + 0.5), math.log(d.max)),
        contains=lambda d, v: _is_integer(v) and d.min <= v < d.max,
        plain=lambda d, v: int(v),
    ),
    QLogRandint: Codec(
        primitive=_log_steps,
        decode=lambda d, x: min(max(math.floor(math.exp(x)) * d.q, d.min), d.max),
        encode=lambda d, v: math.log(int(v) // d.q + 0.5),
        contains=lambda d, v: _is_integer(v) and d.min <= v <= d.max and int(v) % d.q == 0,
        plain=lambda d, v: int(v),
    ),
    Choice: _OPTIONS,
    GridSearch: _OPTIONS,
}


def nest_values(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values for flat ones: `{"optimizer": {"lr": 1}}` for `{"optimizer/lr": 1}`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split("/")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return nested


def flatten_values(nested: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of `names` (with `/` between levels) from a nested dict; absent names are left out."""
    flat: dict[str, Any] = {}
    for name in names:
        value: Any = nested
        for part in name.split("/"):
            if not isinstance(value, Mapping) or part not in value:
                break
            value = value[part]
        else:
            flat[name] = value
    return flat


def _round_trip(codec: Codec, d: Any, x: float) -> float:
    return float(codec.encode(d, codec.decode(d, x)))


class Space:
    """A search space in the job's order: the searched `distributions` by name, and the values derived from them."""

    def __init__(self, distributions: Sequence[DistributionBase]) -> None:
        self.distributions: dict[str, Any] = {d.name: d for d in distributions if type(d) in CODECS}
        self._constants = {d.name: d.value for d in distributions if isinstance(d, Constant)}
        self._expressions = {d.name: parse_expression(d.expression) for d in distributions if isinstance(d, Expression)}
        self._order = [d.name for d in distributions]

    @property
    def names(self) -> list[str]:
        """The names of all hyperparameters of a trial."""
        return list(self._order)

    def complete_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return flat searched values with the constants and the values of expressions, in the job's order.

        Raises BadValue when an expression cannot be evaluated with these values.
        """
        known = {name: value for name, value in values.items() if name not in self._expressions}
        known |= {name: copy.deepcopy(value) for name, value in self._constants.items()}
        for name in self._expressions:
            self._calculate_expression(name, known)
        return {name: known[name] for name in self._order if name in known}

    def try_complete_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same as `complete_values`, without the expressions when one cannot be evaluated."""
        try:
            return self.complete_values(values)
        except BadValue:
            kept = {name: value for name, value in values.items() if name not in self._expressions}
            return {**kept, **self._constants}

    def _calculate_expression(self, name: str, known: dict[str, Any]) -> None:
        if name in known:
            return
        tree = self._expressions[name]
        for other in names_in(tree):
            if other in self._expressions:
                self._calculate_expression(other, known)
        try:
            known[name] = evaluate_expression(tree, known)
        except BadExpression as error:
            used = ", ".join(f"{other}={known[other]!r}" for other in dict.fromkeys(names_in(tree)))
            where = f"hyperparameter {name!r}"
            raise BadValue(f"its expression {error}", where=where, got=used, fix="Change it or the space.") from None

    @property
    def grid_names(self) -> list[str]:
        """The names of the grid_search parameters."""
        return [name for name, d in self.distributions.items() if isinstance(d, GridSearch)]

    def build_primitives(self) -> dict[str, Primitive]:
        """Return the primitives that a search library searches, by name."""
        return {name: self._build_primitive(d) for name, d in self.distributions.items()}

    def _build_primitive(self, d: Any) -> Primitive:
        codec = CODECS[type(d)]
        primitive = codec.primitive(d)
        if not isinstance(primitive, Real) or isinstance(d, Uniform | LogUniform | Randn):
            return primitive
        return replace(primitive, snap=partial(_round_trip, codec, d))

    def decode(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the flat hyperparameters of a point of primitives, as plain Python values."""
        return {name: self._decode_value(d, point[name]) for name, d in self.distributions.items()}

    def _decode_value(self, d: Any, x: Any) -> Any:
        return copy.deepcopy(x.value) if isinstance(x, FixedValue) else CODECS[type(d)].decode(d, x)

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the point of primitives for flat hyperparameters (all or some), whose values must be in the space."""
        searched = {name: v for name, v in values.items() if name in self.distributions}
        return {name: self._get_codec(name).encode(self.distributions[name], v) for name, v in searched.items()}

    def to_plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return flat hyperparameters (all or some) in the form that `decode` gives; they must be in the space."""
        return {name: self._get_codec(name).plain(self.distributions[name], v) for name, v in values.items()}

    def _get_codec(self, name: str) -> Codec:
        return CODECS[type(self.distributions[name])]

    def contains(self, name: str, value: Any) -> bool:
        return self._get_codec(name).contains(self.distributions[name], value)

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Return flat hyperparameters drawn at random by each distribution's law."""
        return self.decode({name: primitive.sample(rng) for name, primitive in self.build_primitives().items()})
