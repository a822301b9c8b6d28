"""Hypothesis strategies: valid distributions, spaces and jobs, as JSON and as models."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase, Request, parse_request

__all__ = ["distribution_dicts", "distributions", "job_dicts", "jobs", "json_values", "names", "spaces"]

Json = dict[str, Any]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
options = st.lists(
    json_values.filter(lambda value: "eval" not in repr(value) and "grid_search" not in repr(value)),
    min_size=1,
    max_size=5,
)
parts = text.filter(lambda part: part.strip() and "/" not in part and part not in ("eval", "grid_search"))


@st.composite
def names(draw: st.DrawFn, max_size: int = 4) -> list[str]:
    """Unique names, some of them nested, none nested in another."""
    plain = draw(st.lists(parts, unique=True, min_size=1, max_size=max_size))
    inner = draw(st.lists(parts, unique=True, max_size=max_size - len(plain)))
    return [*plain, *(f"{draw(parts.filter(lambda part: part not in plain))}/{part}" for part in inner)]


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


def _normal(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({"mean": st.floats(-1e6, 1e6), "sd": st.floats(1e-3, 1e6)}, optional=more)


def _based(fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda made, base: {**made, "base": base}, fields, st.sampled_from([2, 10, 2.5, 0.5]))


FIELDS: dict[str, Callable[[], st.SearchStrategy[Json]]] = {
    "uniform": lambda: _float_range(log=False),
    "quniform": lambda: _float_grid(log=False),
    "loguniform": lambda: _based(_float_range(log=True)),
    "qloguniform": lambda: _based(_float_grid(log=True)),
    "randn": _normal,
    "qrandn": lambda: _normal(q=st.sampled_from([0.1, 0.25, 1, 0.001, 7.5])),
    "randint": lambda: _int_range(log=False),
    "qrandint": lambda: _int_grid(log=False),
    "lograndint": lambda: _based(_int_range(log=True)),
    "qlograndint": lambda: _based(_int_grid(log=True)),
    "choice": lambda: st.fixed_dictionaries({"options": options}),
    "grid_search": lambda: st.fixed_dictionaries({"options": options}),
}


def distribution_dicts(name: str = "x", kinds: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[Json]:
    """A distribution as it is written in a job."""
    made = [FIELDS[kind]().map(lambda fields, kind=kind: {"name": name, "type": kind, **fields}) for kind in kinds]
    return st.one_of(made)


def distributions(name: str = "x", kinds: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[Any]:
    """A distribution's model."""
    return distribution_dicts(name, kinds).map(lambda made: DISTRIBUTIONS[made["type"]].model_validate(made))


@st.composite
def space_dicts(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(FIELDS)) -> list[Json]:
    return [draw(distribution_dicts(name, kinds)) for name in draw(names())]


def spaces(kinds: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[list[DistributionBase]]:
    """The distributions of a space, as models."""
    return space_dicts(kinds).map(lambda made: [DISTRIBUTIONS[d["type"]].model_validate(d) for d in made])


objects = st.dictionaries(text, json_values, max_size=3)
_named = text.filter(lambda name: name.strip())
_common: dict[str, st.SearchStrategy[Any]] = {
    "description": st.none() | text,
    "checkpoint": st.none() | st.integers(),
}
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
        "stop": st.dictionaries(text, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
        "time_budget_s": st.none() | st.floats(0.001, 1e9),
        "target": st.none() | st.floats(-1e9, 1e9),
        "max_failures": st.integers(-1, 3),
        "reuse_actors": st.booleans(),
        "legacy_train_report": st.booleans(),
    },
)


def _job(params: Json) -> Json:
    return {"action": "train", "params": params}


def job_dicts() -> st.SearchStrategy[Json]:
    """A valid job as JSON, of either mode."""
    head = {"name": _named, "dataset": st.integers()}
    training = st.fixed_dictionaries(
        {**head, "hyperparameter": objects}, optional={**_common, "is_tune": st.just(value=False)}
    )
    tuning = st.fixed_dictionaries(
        {**head, "is_tune": st.just(value=True), "hyperparameters": space_dicts(), "tune_config": _tune_config},
        optional={**_common, "num_cpus": st.floats(0.1, 64), "num_gpus": st.none() | st.floats(0, 8)},
    )
    return st.one_of(training, tuning).map(_job)


def jobs() -> st.SearchStrategy[Request]:
    """A valid job."""
    return job_dicts().map(parse_request)
