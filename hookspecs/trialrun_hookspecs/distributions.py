"""The 12 distributions of a search space, in the form that a job has them.

The law of each is Ray's of the same name (https://docs.ray.io/en/latest/tune/api/search_space.html). `base` is
required by the platform for the log types and changes nothing in the values drawn: a log-uniform law has no base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from trialrun_hookspecs.expressions import BadExpression, names_in, parse_expression

__all__ = [
    "DERIVED",
    "DISTRIBUTIONS",
    "Choice",
    "Constant",
    "Distribution",
    "DistributionBase",
    "Expression",
    "GridSearch",
    "LogRandint",
    "LogUniform",
    "QLogRandint",
    "QLogUniform",
    "QRandint",
    "QRandn",
    "QUniform",
    "Randint",
    "Randn",
    "Uniform",
    "divides",
    "not_blank",
    "rule_error",
]

_MAX_DEFAULT_Q_STEPS = 10**6  # a default q never cuts the range into more steps than this
_MAX_STEPS = _LARGEST_INT = 2**53  # beyond it, a float cannot represent every integer
_LARGEST_FLOAT = 1e300  # beyond it, a range may be infinitely wide
_MAX_DEPTH = 100
_RAY_KEYWORDS = ("eval", "grid_search")  # Ray reads `{"eval": text}` in a search space as code to run


def rule_error(
    rule: str, field: str = "", fix: str = "", several: Sequence[tuple[str, str, str]] = ()
) -> PydanticCustomError:
    """Return the error of a rule broken by the key `field`, or of `several`: (field, rule, fix) of each."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "field": field, "fix": fix, "several": several})


def _coerce_integer(value: Any) -> Any:
    """Return 5 for 5.0, since JSON has one number type; anything else is left for the strict check."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _limit_validator(limit: float) -> Any:
    """Return a validator of numbers between -limit and limit."""

    def check_limit(value: float) -> float:
        if not -limit <= value <= limit:
            raise rule_error(f"must be between -{limit:g} and {limit:g}", fix="Use a smaller number.")
        return value

    return AfterValidator(check_limit)


def _limit_schema(limit: float) -> dict[str, Any]:
    return {"allOf": [{"minimum": -limit, "maximum": limit}]}


def _find_non_json(value: Any, path: str = "", depth: int = 0) -> tuple[str, str] | None:
    """Return the path inside `value` that is not JSON and the rule it breaks, or None."""
    if depth > _MAX_DEPTH:
        return "", f"must not be nested deeper than {_MAX_DEPTH} levels"
    if isinstance(value, str):
        return None if value.isascii() or _is_encodable(value) else (path, "must be text that UTF-8 can hold")
    if isinstance(value, float):
        return None if math.isfinite(value) else (path, "must be finite")
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, list | tuple):
        parts: Any = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, Mapping):
        bad = next((key for key in value if not isinstance(key, str) or not _is_encodable(key)), None)
        if bad is not None:
            return path, f"keys must be text, got {bad!r}"
        parts = ((f"{path}.{key}", item) for key, item in value.items())
    else:
        return path, f"must be JSON, got {type(value).__name__}"
    return next(filter(None, (_find_non_json(item, at, depth + 1) for at, item in parts)), None)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_json(value: Any) -> Any:
    wrong = _find_non_json(value)
    if wrong:
        fix = "JSON is text, finite numbers, true, false, null, lists and objects of these."
        raise rule_error(wrong[1], wrong[0], fix)
    return value


def _check_inert(options: Any) -> Any:
    """Return options that hold nothing Ray would run, at any depth."""
    open_: list[Any] = [("", options)]
    while open_:
        path, value = open_.pop()
        if isinstance(value, Mapping):
            if len(value) == 1 and next(iter(value)) in _RAY_KEYWORDS:
                raise rule_error(
                    f"must not be an object whose only key is {next(iter(value))!r}",
                    path,
                    "Rename it: Ray would run it.",
                )
            open_ += [(f"{path}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            open_ += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    return options


def _check_inert_value(value: Any) -> Any:
    _check_inert([value])
    return value


def _check_arithmetic(text: str) -> str:
    try:
        parse_expression(text)
    except BadExpression as error:
        fix = 'Write arithmetic such as "2 * units" or "0.1 if optimizer == \'sgd\' else 0.001".'
        raise rule_error(str(error), fix=fix) from None
    return text


def not_blank(value: str) -> str:
    if not value.strip():
        raise rule_error("must not be blank", fix="Write some text.")
    return value


def _check_name(value: str) -> str:
    if any(not part.strip() for part in value.split("/")):
        raise rule_error(
            "every part of a name between '/' must have characters", fix="Use a name such as `optimizer/lr`."
        )
    reserved = [part for part in value.split("/") if part in _RAY_KEYWORDS]
    if reserved:
        raise rule_error(f"{reserved[0]!r} is reserved by Ray", fix="Rename it.")
    return value


def _check_base(value: float) -> float:
    if value == 1:
        raise rule_error("must not be 1", fix="Use 10 or 2.")
    return value


_PART = r"[^/]*[^\s/][^/]*"
_NAME = f"^{_PART}(/{_PART})*$"

Json = Annotated[Any, AfterValidator(_check_json)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_check_json)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Integer = Annotated[int, BeforeValidator(_coerce_integer), Field(strict=True)]
PositiveInteger = Annotated[int, BeforeValidator(_coerce_integer), Field(strict=True, ge=1)]
Number = Annotated[Finite, _limit_validator(_LARGEST_FLOAT), Field(json_schema_extra=_limit_schema(_LARGEST_FLOAT))]
PositiveNumber = Annotated[
    Positive, _limit_validator(_LARGEST_FLOAT), Field(json_schema_extra=_limit_schema(_LARGEST_FLOAT))
]
Bound = Annotated[Integer, _limit_validator(_LARGEST_INT), Field(json_schema_extra=_limit_schema(_LARGEST_INT))]
Q = Annotated[
    Positive,
    _limit_validator(_LARGEST_FLOAT),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": _LARGEST_FLOAT}, {"type": "null"}]}),
]
IntegerQ = Annotated[
    PositiveInteger,
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
]
Name = Annotated[
    str,
    Field(description="unique; `a/b` makes nested hyperparameters", json_schema_extra={"pattern": _NAME}),
    AfterValidator(_check_name),
]
Base = Annotated[
    Positive,
    AfterValidator(_check_base),
    Field(description="recorded only: it does not change the values drawn", json_schema_extra={"not": {"const": 1}}),
]
Options = Annotated[tuple[Json, ...], Field(strict=False, min_length=1), AfterValidator(_check_inert)]


class DistributionBase(BaseModel):
    """The base of all distributions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    integer: ClassVar[bool] = False
    log: ClassVar[bool] = False

    name: Name


class _Range(DistributionBase):
    """`min` < `max`; log types need min > 0."""

    @model_validator(mode="after")
    def _check_order(self) -> _Range:
        low, high = float(self.min), float(self.max)  # type: ignore[attr-defined]  # every subclass has them, int or float
        if low >= high:
            raise rule_error(
                f"min must be less than max, got min={low:g} and max={high:g}", "min", "Swap or widen them."
            )
        if self.log and low <= 0:
            raise rule_error(f"{self.type} needs min > 0", "min", "Use a small positive number.")  # type: ignore[attr-defined]
        return self


class _FloatRange(_Range):
    min: Number
    max: Number


class _IntRange(_Range):
    integer: ClassVar[bool] = True
    min: Bound
    max: Bound


def divides(q: float, value: float) -> bool:
    """Return whether `value` is one of the first 2**53 multiples of `q`, computed in the decimals of the text."""
    return abs(value) / q <= _MAX_STEPS and Decimal(repr(value)) % Decimal(repr(q)) == 0


def default_q(low: float, high: float) -> float | None:
    """Return the largest power of ten that divides both bounds and is at most a tenth of the range, or None."""
    span = Decimal(repr(high)) - Decimal(repr(low))
    power = (span / 10).adjusted()
    while span / Decimal(1).scaleb(power) <= _MAX_DEFAULT_Q_STEPS:
        q = float(Decimal(1).scaleb(power))
        if q and divides(q, low) and divides(q, high):
            return q
        power -= 1
    return None


def _check_q(q: float, low: float, high: float) -> None:
    if q > 2 * (high - low):  # between that and the range, one of the bounds is no multiple
        raise rule_error(f"q must be at most max - min, got q={q:g}", "q", "Use a smaller q.")
    for field, bound in (("min", low), ("max", high)):
        if abs(bound) / q > _MAX_STEPS:
            raise rule_error(f"q={q:g} is too fine for {field}={bound:g}", "q", "Use a larger q.")
        if not divides(q, bound):
            raise rule_error(
                f"{field}={bound:g} must be a multiple of q={q:g}",
                field,
                "Change the bound, or give a q that divides it.",
            )


def _drop_null_q(data: Any) -> Any:
    """Return `data` without a `q` that is null: it means the same as no `q`."""
    if isinstance(data, Mapping) and data.get("q", 0) is None:
        return {key: value for key, value in data.items() if key != "q"}
    return data


def _q_field(default: str) -> Any:
    return Field(default=0.0, description=f"step; default: {default}", json_schema_extra=_hide_default)


def _hide_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)  # the default depends on the other fields


class _QuantizedFloat(_FloatRange):
    q: Q = _q_field("the largest power of ten that divides both bounds and is at most a tenth of the range")

    _fill = model_validator(mode="before")(_drop_null_q)

    @model_validator(mode="after")
    def _validate_q(self) -> _QuantizedFloat:
        if "q" not in self.model_fields_set:
            q = default_q(self.min, self.max)
            if q is None:
                raise rule_error("no power of ten divides both bounds, so q must be given", "q", "Add a q.")
            object.__setattr__(self, "q", q)
            self.model_fields_set.add("q")
        _check_q(self.q, self.min, self.max)
        return self


class _QuantizedInt(_IntRange):
    q: IntegerQ = 1

    _fill = model_validator(mode="before")(_drop_null_q)

    @model_validator(mode="after")
    def _validate_q(self) -> _QuantizedInt:
        _check_q(self.q, self.min, self.max)
        return self


class Uniform(_FloatRange):
    """Uniform between `min` and `max`."""

    type: Literal["uniform"]


class QUniform(_QuantizedFloat):
    """Uniform, rounded to multiples of `q`; both bounds included."""

    type: Literal["quniform"]


class LogUniform(_FloatRange):
    """Uniform in the logarithm."""

    log: ClassVar[bool] = True
    type: Literal["loguniform"]
    base: Base


class QLogUniform(_QuantizedFloat):
    """Uniform in the logarithm, rounded to multiples of `q`; both bounds included."""

    log: ClassVar[bool] = True
    type: Literal["qloguniform"]
    base: Base


class Randn(DistributionBase):
    """Normal with mean `mean` and standard deviation `sd`."""

    type: Literal["randn"]
    mean: Number
    sd: PositiveNumber


class QRandn(DistributionBase):
    """Normal, rounded to multiples of `q`."""

    type: Literal["qrandn"]
    mean: Number
    sd: PositiveNumber
    q: Q = _q_field("the largest power of ten that is at most sd/10")

    _fill = model_validator(mode="before")(_drop_null_q)

    @model_validator(mode="after")
    def _validate_q(self) -> QRandn:
        if "q" not in self.model_fields_set:
            object.__setattr__(self, "q", float(Decimal(1).scaleb((Decimal(repr(self.sd)) / 10).adjusted())))
            self.model_fields_set.add("q")
        if self.q == 0 or (abs(self.mean) + 10 * self.sd) / self.q > _MAX_STEPS:
            raise rule_error(
                f"q={self.q:g} is too fine for mean={self.mean:g} and sd={self.sd:g}", "q", "Use a larger q."
            )
        return self


class Randint(_IntRange):
    """Integers from `min` to `max`, `max` excluded."""

    type: Literal["randint"]


class QRandint(_QuantizedInt):
    """Multiples of `q` from `min` to `max`, `max` included."""

    type: Literal["qrandint"]


class LogRandint(_IntRange):
    """Integers, uniform in the logarithm, `max` excluded."""

    log: ClassVar[bool] = True
    type: Literal["lograndint"]
    base: Base


class QLogRandint(_QuantizedInt):
    """Multiples of `q`, uniform in the logarithm, `max` included."""

    log: ClassVar[bool] = True
    type: Literal["qlograndint"]
    base: Base


class Choice(DistributionBase):
    """One of `options`, each equally likely. Options may be any JSON values."""

    type: Literal["choice"]
    options: Options


class GridSearch(DistributionBase):
    """Every one of `options`, once per sample."""

    type: Literal["grid_search"]
    options: Options


class Constant(DistributionBase):
    """The same JSON value in every trial."""

    type: Literal["constant"]
    value: Annotated[Json, AfterValidator(_check_inert_value)]


class Expression(DistributionBase):
    """A value computed from the trial's other hyperparameters, such as `2 * units` or `optimizer.lr / 10`."""

    type: Literal["expression"]
    expression: Annotated[str, Field(min_length=1), AfterValidator(_check_arithmetic)]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the hyperparameters that the expression uses, each once."""
        return tuple(dict.fromkeys(names_in(parse_expression(self.expression))))


Distribution = Annotated[
    Union[  # noqa: UP007  # a discriminated union of 12 reads better in a list
        Uniform,
        QUniform,
        LogUniform,
        QLogUniform,
        Randn,
        QRandn,
        Randint,
        QRandint,
        LogRandint,
        QLogRandint,
        Choice,
        GridSearch,
        Constant,
        Expression,
    ],
    Field(discriminator="type"),
]

DISTRIBUTIONS: dict[str, type[DistributionBase]] = {
    "uniform": Uniform,
    "quniform": QUniform,
    "loguniform": LogUniform,
    "qloguniform": QLogUniform,
    "randn": Randn,
    "qrandn": QRandn,
    "randint": Randint,
    "qrandint": QRandint,
    "lograndint": LogRandint,
    "qlograndint": QLogRandint,
    "choice": Choice,
    "grid_search": GridSearch,
}

DERIVED: dict[str, type[DistributionBase]] = {"constant": Constant, "expression": Expression}
"""The entries of a space that are not searched, by type."""
