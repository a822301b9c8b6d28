"""Whether a trial and its workers have room on a cluster's nodes: counted, nothing is asked of Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trialrun_hookspecs.errors import Infeasible
from trialrun_hookspecs.request import Params

__all__ = ["ResourceRequest", "build_resource_request", "can_fit_trial", "check_capacity", "how_many_fit"]

Resources = Mapping[str, float]

_EPSILON = 1e-4  # Ray counts in ten-thousandths


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What one trial takes: a bundle for itself, one for each of its workers, and how they are to be placed."""

    trial: Resources
    workers: Sequence[Resources] = field(default=())
    strategy: str = "PACK"

    @property
    def total_resources(self) -> dict[str, float]:
        """All bundles together."""
        keys = dict.fromkeys(key for bundle in (self.trial, *self.workers) for key in bundle)
        return {key: sum(bundle.get(key, 0.0) for bundle in (self.trial, *self.workers)) for key in keys}

    @property
    def display_text(self) -> str:
        """`1 CPU` or `1 CPU and 2 workers of 1 CPU, 0.5 GPU each`."""
        if not self.workers:
            return _format_resources(self.trial)
        count = len(self.workers)
        workers = f"{count} worker{'s' * (count > 1)} of {_format_resources(self.workers[0])}{' each' * (count > 1)}"
        strictly = f" ({self.strategy})" if self.strategy.startswith("STRICT") else ""
        return f"{_format_resources(self.trial)} and {workers}{strictly}" if self.trial else workers + strictly


def build_resource_request(params: Params) -> ResourceRequest:
    """What one trial of the job takes."""
    strategy = params.workers.strategy if params.workers else "PACK"
    return ResourceRequest(trial=params.bundle, workers=params.worker_bundles, strategy=strategy)


def can_fit_trial(need: ResourceRequest, nodes: Sequence[Resources]) -> bool:
    """Whether empty nodes of these sizes could hold one trial. Exact, because its workers are all alike."""
    return any(
        _can_fit_workers(need, [*nodes[:index], *nodes[index + 1 :]], _subtract_bundle(node, need.trial))
        for index, node in enumerate(nodes)
        if how_many_fit(need.trial, node)
    )


def _can_fit_workers(need: ResourceRequest, others: Sequence[Resources], rest: Resources) -> bool:
    """Whether the workers have room on what the trial leaves of its node, and on the other nodes."""
    if not need.workers:
        return True
    worker, count = need.workers[0], len(need.workers)
    if need.strategy == "STRICT_PACK":
        return how_many_fit(worker, rest) >= count
    if need.strategy == "STRICT_SPREAD":
        # a trial that takes nothing has no bundle, and so no node of its own
        free = [*others, rest] if not need.trial else others
        return sum(1 for node in free if how_many_fit(worker, node)) >= count
    return how_many_fit(worker, rest) + sum(how_many_fit(worker, node) for node in others) >= count


def how_many_fit(bundle: Resources, node: Resources) -> float:
    """How often the bundle has room on the node: a whole number, or infinity for one that takes nothing."""
    room = min((node.get(key, 0.0) / value for key, value in bundle.items() if value), default=math.inf)
    return room if math.isinf(room) else max(math.floor(room + _EPSILON), 0)


def _subtract_bundle(node: Resources, bundle: Resources) -> dict[str, float]:
    return {key: value - bundle.get(key, 0.0) for key, value in node.items()}


def check_capacity(need: ResourceRequest, nodes: Sequence[Resources], what: str) -> None:
    """Raises Infeasible with what one trial needs and what there is."""
    if can_fit_trial(need, nodes):
        return
    total = need.total_resources
    has = _format_resources({key: sum(node.get(key, 0.0) for node in nodes) for key in total}, zero=True)
    if len(nodes) > 1:
        largest = _format_resources({key: max(node.get(key, 0.0) for node in nodes) for key in total}, zero=True)
        has = f"{has}, and {largest} at most on one node"
    custom = [key for key in total if key not in ("CPU", "GPU", "memory")]
    fix = "Lower params.num_cpus / params.num_gpus, or give --address of a larger cluster."
    if need.workers:
        fix = "Lower what params and params.workers ask for, or give --address of a larger cluster."
    missing = [key for key in custom if not any(node.get(key) for node in nodes)]
    if missing:
        given = ", ".join(f'"{key}": {total[key]:g}' for key in missing)
        here = " ".join(f"--resource {key}={total[key]:g}" for key in missing)
        fix = f"Give a local Ray some with {here}, or start nodes with `ray start --resources='{{{given}}}'`."
    raise Infeasible(
        f"{what} cannot hold one trial",
        where="params",
        got=f"a trial needs {need.display_text}; there is {has}",
        fix=fix,
    )


def _format_resources(resources: Resources, *, zero: bool = False) -> str:
    return (
        ", ".join(f"{value:g} {key}" for key, value in resources.items() if (value or zero) and value < math.inf)
        or "nothing"
    )
