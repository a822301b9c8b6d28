"""The resources of one trial: its own, and those of the workers that it starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trialrun_hookspecs.distributions import Positive, PositiveInteger, rule_error

__all__ = ["Workers", "make_bundle", "resource_rules"]

NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Strategy = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]

_MIN_SHARE = 0.0001  # the unit in which Ray counts resources
_OWN_KEYS = {"cpu": "num_cpus", "cpus": "num_cpus", "num_cpus": "num_cpus"}
_OWN_KEYS |= {"gpu": "num_gpus", "gpus": "num_gpus", "num_gpus": "num_gpus"}
_RAY_RESOURCES = ("node:", "bundle", "object_store_memory")  # counted by Ray itself, not for jobs to take


def _check_custom_resources(value: dict[str, float]) -> dict[str, float]:
    broken = [(name, *refused) for name in value if (refused := _find_name_problem(name))]
    if broken:
        raise rule_error("; ".join(rule for _, rule, _ in broken), several=broken)
    return value


def _find_name_problem(name: str) -> tuple[str, str] | None:
    if not name.strip():
        return "a resource must have a name", "Write the name that the nodes were started with."
    if name.lower() in _OWN_KEYS:
        return f"{name!r} has a key of its own", f"Write it as {_OWN_KEYS[name.lower()]}."
    if name.startswith(_RAY_RESOURCES):
        return f"{name!r} is a resource of Ray itself", "Write a name that the nodes were started with."
    return None


CustomResources = Annotated[dict[str, Positive], AfterValidator(_check_custom_resources)]


class Workers(BaseModel):
    """The workers that each trial starts itself; their resources are reserved together with the trial's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    count: PositiveInteger = Field(description="workers per trial")
    num_cpus: NonNegative = Field(default=1.0, description="CPUs per worker")
    num_gpus: NonNegative = Field(default=0.0, description="GPUs per worker")
    resources: CustomResources = Field(
        default_factory=dict, description="custom resources per worker, by the names that nodes were started with"
    )
    strategy: Strategy = Field(
        default="PACK",
        description="placement of trial and workers: on few nodes (PACK) or many (SPREAD), strictly or if possible",
    )


def make_bundle(cpus: float, gpus: float, custom: Mapping[str, float]) -> dict[str, float]:
    """Return the resources as Ray counts them, without those that are 0."""
    return {key: value for key, value in {"CPU": cpus, "GPU": gpus, **custom}.items() if value}


def resource_rules(params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the broken rules for amounts of resources, which are Ray's: (path below params, rule, remedy)."""
    workers = params.get("workers")
    theirs = {key: _get_field(workers, key) for key in ("num_cpus", "num_gpus", "resources")}
    for below, given in (("", params), ("workers.", theirs)):
        custom = given.get("resources")
        named = {f"resources.{name}": size for name, size in custom.items()} if isinstance(custom, Mapping) else {}
        for key, size in {"num_cpus": given.get("num_cpus"), "num_gpus": given.get("num_gpus"), **named}.items():
            yield from ((below + key, rule, fix) for rule, fix in _size_rules(key, size))
    if theirs["num_cpus"] == 0 and not theirs["num_gpus"] and not theirs["resources"]:
        yield "workers.num_cpus", "a worker must take something", "Give a fraction such as 0.1."


def _size_rules(key: str, size: Any) -> Iterator[tuple[str, str]]:
    if isinstance(size, bool) or not isinstance(size, int | float) or not math.isfinite(size):
        return  # the field itself reports it
    if 0 < size < _MIN_SHARE:
        yield f"must be 0 or at least {_MIN_SHARE:g}", "Give a larger fraction."
    if key == "num_gpus" and size > 1 and size % 1:
        yield "a number of GPUs above 1 must be whole", "Give a whole number, or a fraction below 1 to share one."


def _get_field(thing: Any, key: str) -> Any:
    """Return a field of a model, or of the raw JSON it is to be made from."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)
