"""Hypothesis strategies for tests of plugins: jobs, spaces, and hyperparameters of a space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from trialrun.space import CODECS, Category, Integer, Primitive, Space, nest_values
from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase, Request, parse_request

__all__ = [
    "FIELDS",
    "configs",
    "distribution_dicts",
    "distributions",
    "from_space",
    "job_dicts",
    "job_names",
    "json_values",
    "objects",
    "requests",
    "spaces",
]

Json = dict[str, Any]

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_options = st.lists(
    json_values.filter(lambda value: "eval" not in repr(value) and "grid_search" not in repr(value)),
    min_size=1,
    max_size=5,
)
_parts = _text.filter(lambda part: part.strip() and "/" not in part and part not in ("eval", "grid_search"))


_PARENT = "parent"


@st.composite
def _unique_names(draw: st.DrawFn) -> list[str]:
    """Draw unique names, some of them nested, none a prefix of another."""
    names = draw(_several_parts)
    plain = draw(st.integers(1, len(names)))
    return [*names[:plain], *(f"{_PARENT}/{part}" for part in names[plain:])]


_several_parts = st.lists(_parts.filter(lambda part: part != _PARENT), unique=True, min_size=1, max_size=4)


@st.composite
def _float_range(draw: st.DrawFn, *, log: bool) -> Json:
    limits: dict[str, Any] = {"min_value": 1e-300 if log else -1e300, "max_value": 1e300}
    bounds = draw(
        st.lists(st.floats(**limits) | st.integers(1 if log else -100, 100), min_size=2, max_size=2, unique=True)
    )
    return {"min": min(bounds), "max": max(bounds)}


@st.composite
def _float_grid(draw: st.DrawFn, *, log: bool) -> Json:
    q = Decimal(draw(st.integers(1, 999))).scaleb(draw(st.integers(-6, 3)))
    low = draw(st.integers(1 if log else -1000, 1000))
    high = low + draw(st.integers(1, 1000))
    return {"min": float(low * q), "max": float(high * q), "q": float(q)}


@st.composite
def _int_range(draw: st.DrawFn, *, log: bool, most: int = 2**53) -> Json:
    near = st.integers(1 if log else -50, 50)
    bounds = draw(st.lists(near | st.integers(1 if log else -most, most), min_size=2, max_size=2, unique=True))
    return {"min": min(bounds), "max": max(bounds)}


@st.composite
def _int_grid(draw: st.DrawFn, *, log: bool) -> Json:
    bounds = draw(_int_range(log=log, most=10**6))
    q = draw(st.none() | st.integers(1, 1000))
    return bounds if q is None else {"min": bounds["min"] * q, "max": bounds["max"] * q, "q": q}


def _normal_fields(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({"mean": st.floats(-1e6, 1e6), "sd": st.floats(1e-3, 1e6)}, optional=more)


def _with_base(fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda field, base: {**field, "base": base}, fields, st.sampled_from([2, 10, 2.5, 0.5]))


FIELDS: dict[str, Callable[[], st.SearchStrategy[Json]]] = {
    "uniform": lambda: _float_range(log=False),
    "quniform": lambda: _float_grid(log=False),
    "loguniform": lambda: _with_base(_float_range(log=True)),
    "qloguniform": lambda: _with_base(_float_grid(log=True)),
    "randn": _normal_fields,
    "qrandn": lambda: _normal_fields(q=st.sampled_from([0.1, 0.25, 1, 0.001, 7.5])),
    "randint": lambda: _int_range(log=False),
    "qrandint": lambda: _int_grid(log=False),
    "lograndint": lambda: _with_base(_int_range(log=True)),
    "qlograndint": lambda: _with_base(_int_grid(log=True)),
    "choice": lambda: st.fixed_dictionaries({"options": _options}),
    "grid_search": lambda: st.fixed_dictionaries({"options": _options}),
}


@cache
def distribution_fields(kind: str) -> st.SearchStrategy[Json]:
    """Return the fields of a distribution of this type, without name and type."""
    return FIELDS[kind]()


@st.composite
def distribution_dicts(draw: st.DrawFn, name: str = "x", kinds: tuple[str, ...] = tuple(FIELDS)) -> Json:
    """Draw a distribution as JSON of a job."""
    kind = draw(st.sampled_from(kinds))
    return {"name": name, "type": kind, **draw(distribution_fields(kind))}


def distributions(name: str = "x", kinds: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[Any]:
    """Return distributions as models."""
    return distribution_dicts(name, kinds).map(_build_model)


@st.composite
def _space_dicts(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(FIELDS)) -> list[Json]:
    return [draw(distribution_dicts(name, kinds)) for name in draw(_unique_names())]


def spaces(kinds: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[list[DistributionBase]]:
    """Return spaces: lists of distributions as models."""
    return _space_dicts(kinds).map(lambda space: [_build_model(distribution) for distribution in space])


objects = st.dictionaries(_text, json_values, max_size=3)
_named = _text.filter(lambda name: name.strip())
_common: dict[str, st.SearchStrategy[Any]] = {
    "description": st.none() | _text,
    "checkpoint": st.none() | st.integers(),
}
_plateau = st.none() | st.fixed_dictionaries(
    {"patience": st.integers(1, 9)},
    optional={"min_delta": st.floats(0, 1e9), "grace_period": st.integers(0, 9)},
)
_tune_config = st.fixed_dictionaries(
    {"metric": _named, "mode": st.sampled_from(["max", "min"])},
    optional={
        "num_samples": st.integers(1, 1000),
        "max_concurrent_trials": st.none() | st.integers(1, 100),
        "search_alg": _named
        | st.fixed_dictionaries(
            {}, optional={"name": _named, "points_to_evaluate": st.lists(objects, max_size=2), "options": objects}
        ),
        "scheduler": _named | st.fixed_dictionaries({}, optional={"name": _named, "options": objects}),
        "seed": st.none() | st.integers(0, 2**32 - 1),
        "stop": st.dictionaries(_text, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
        "time_budget_s": st.none() | st.floats(0.001, 1e9),
        "target": st.none() | st.floats(-1e9, 1e9),
        "max_failures": st.integers(-1, 3),
        "fail_fast": st.sampled_from([True, False, "raise"]),
        "plateau": st.fixed_dictionaries({}, optional={"trial": _plateau, "study": _plateau}),
        "allow_restart": st.booleans(),
        "reuse_actors": st.booleans(),
        "legacy_train_report": st.booleans(),
        "wait_for_gpu_s": st.none() | st.floats(0.001, 1e9),
    },
).map(lambda config: {**config, "max_failures": 0} if config.get("fail_fast") else config)

_gpus = st.just(0) | st.floats(0.0001, 1) | st.integers(1, 8)  # none, a fraction, or whole devices
_custom = st.dictionaries(st.sampled_from(["disk", "memory", "라이선스"]), st.floats(0.001, 1e9), max_size=2)
_workers = st.fixed_dictionaries(
    {"count": st.integers(1, 8)},
    optional={
        "num_cpus": st.floats(0.1, 8),
        "num_gpus": _gpus,
        "resources": _custom,
        "strategy": st.sampled_from(["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]),
    },
)


def _build_job(params: Json) -> Json:
    return {"action": "train", "params": params}


def job_dicts() -> st.SearchStrategy[Json]:
    """Return valid jobs as JSON, of either mode."""
    head = {"name": _named, "dataset": st.integers()}
    training = st.fixed_dictionaries(
        {**head, "hyperparameter": objects}, optional={**_common, "is_tune": st.just(value=False)}
    )
    tuning = st.fixed_dictionaries(
        {**head, "is_tune": st.just(value=True), "hyperparameters": _space_dicts(), "tune_config": _tune_config},
        optional={
            **_common,
            "num_cpus": st.floats(0.1, 64),
            "num_gpus": st.none() | _gpus,
            "resources": st.none() | _custom,
            "workers": st.none() | _workers,
        },
    )
    return st.one_of(training, tuning).map(_build_job)


def requests() -> st.SearchStrategy[Request]:
    """Return valid jobs as requests, of either mode."""
    return job_dicts().map(parse_request)


def job_names(max_size: int = 40) -> st.SearchStrategy[str]:
    """Return names of jobs, including characters that need URL encoding or are invalid in file names."""
    traps = st.sampled_from(["%", "%25", ":", ",", "/", "..", " ", "\n", "\\", "é", "이름", "CON", "*", "a%3Ab"])
    mixed = st.lists(traps | _text, min_size=1, max_size=6).map("".join)
    plain = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=max_size)
    return (plain | mixed).map(lambda name: name[:max_size]).filter(lambda name: bool(name.strip()))


def from_space(space: Iterable[Mapping[str, Any] | DistributionBase]) -> st.SearchStrategy[dict[str, Any]]:
    """Return flat hyperparameters of a space of models or JSON: `{"optimizer/lr": 0.1}`."""
    flat = Space([d if isinstance(d, DistributionBase) else _build_model(d) for d in space])
    return st.fixed_dictionaries({name: _distribution_values(d) for name, d in flat.distributions.items()})


def configs(space: Iterable[Mapping[str, Any] | DistributionBase]) -> st.SearchStrategy[dict[str, Any]]:
    """Return hyperparameters of a space as a plugin receives them: `{"optimizer": {"lr": 0.1}}`."""
    return from_space(space).map(nest_values)


def _build_model(distribution: Mapping[str, Any]) -> Any:
    return DISTRIBUTIONS[distribution["type"]].model_validate(distribution)


def _distribution_values(distribution: Any) -> st.SearchStrategy[Any]:
    codec = CODECS[type(distribution)]
    return _primitive_values(codec.primitive(distribution)).map(lambda x: codec.decode(distribution, x))


def _primitive_values(primitive: Primitive) -> st.SearchStrategy[Any]:
    if isinstance(primitive, Integer):
        return st.integers(primitive.low, primitive.high)
    if isinstance(primitive, Category):
        return st.integers(0, primitive.size - 1)
    return st.floats(primitive.low, primitive.high)
