"""The capacity of a cluster for one trial with its workers, calculated without asking Ray."""

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
    """The resources of one trial: a bundle for itself, one per worker, and how they are placed on nodes."""

    trial: Resources
    workers: Sequence[Resources] = field(default=())
    strategy: str = "PACK"

    @property
    def total_resources(self) -> dict[str, float]:
        """The sum of all bundles."""
        keys = dict.fromkeys(key for bundle in (self.trial, *self.workers) for key in bundle)
        return {key: sum(bundle.get(key, 0.0) for bundle in (self.trial, *self.workers)) for key in keys}

    @property
    def display_text(self) -> str:
        """The request as text: `1 CPU`, or `1 CPU and 2 workers of 1 CPU, 0.5 GPU each`."""
        if not self.workers:
            return _format_resources(self.trial)
        count = len(self.workers)
        workers = f"{count} worker{'s' * (count > 1)} of {_format_resources(self.workers[0])}{' each' * (count > 1)}"
        strictly = f" ({self.strategy})" if self.strategy.startswith("STRICT") else ""
        return f"{_format_resources(self.trial)} and {workers}{strictly}" if self.trial else workers + strictly


def build_resource_request(params: Params) -> ResourceRequest:
    """Return the resources of one trial of the job."""
    strategy = params.workers.strategy if params.workers else "PACK"
    return ResourceRequest(trial=params.bundle, workers=params.worker_bundles, strategy=strategy)


def can_fit_trial(request: ResourceRequest, nodes: Sequence[Resources]) -> bool:
    """Return True if empty nodes of these sizes could hold one trial. Exact, because all workers are alike."""
    return any(
        _can_fit_workers(request, [*nodes[:index], *nodes[index + 1 :]], _subtract_bundle(node, request.trial))
        for index, node in enumerate(nodes)
        if how_many_fit(request.trial, node)
    )


def _can_fit_workers(request: ResourceRequest, others: Sequence[Resources], rest: Resources) -> bool:
    """Return True if the workers fit on the rest of the trial's node and on the other nodes."""
    if not request.workers:
        return True
    worker, count = request.workers[0], len(request.workers)
    if request.strategy == "STRICT_PACK":
        return how_many_fit(worker, rest) >= count
    if request.strategy == "STRICT_SPREAD":
        # a trial without resources has no bundle, and so no node of its own
        free = [*others, rest] if not request.trial else others
        return sum(1 for node in free if how_many_fit(worker, node)) >= count
    return how_many_fit(worker, rest) + sum(how_many_fit(worker, node) for node in others) >= count


def how_many_fit(bundle: Resources, node: Resources) -> float:
    """Return how many such bundles the node holds: a whole number, or infinity for an empty bundle."""
    room = min((node.get(key, 0.0) / value for key, value in bundle.items() if value), default=math.inf)
    return room if math.isinf(room) else max(math.floor(room + _EPSILON), 0)


def _subtract_bundle(node: Resources, bundle: Resources) -> dict[str, float]:
    return {key: value - bundle.get(key, 0.0) for key, value in node.items()}


def check_capacity(request: ResourceRequest, nodes: Sequence[Resources], what: str) -> None:
    """Raise Infeasible, with both amounts, if the nodes could not hold one trial. `what` names the nodes."""
    if can_fit_trial(request, nodes):
        return
    total = request.total_resources
    has = _format_resources({key: sum(node.get(key, 0.0) for node in nodes) for key in total}, zero=True)
    if len(nodes) > 1:
        largest = _format_resources({key: max(node.get(key, 0.0) for node in nodes) for key in total}, zero=True)
        has = f"{has}, and {largest} at most on one node"
    custom = [key for key in total if key not in ("CPU", "GPU", "memory")]
    fix = "Lower params.num_cpus / params.num_gpus, or give --address of a larger cluster."
    if request.workers:
        fix = "Lower what params and params.workers ask for, or give --address of a larger cluster."
    missing = [key for key in custom if not any(node.get(key) for node in nodes)]
    if missing:
        given = ", ".join(f'"{key}": {total[key]:g}' for key in missing)
        here = " ".join(f"--resource {key}={total[key]:g}" for key in missing)
        fix = f"Give a local Ray some with {here}, or start nodes with `ray start --resources='{{{given}}}'`."
    raise Infeasible(
        f"{what} cannot hold one trial",
        where="params",
        got=f"a trial needs {request.display_text}; there is {has}",
        fix=fix,
    )


def _format_resources(resources: Resources, *, zero: bool = False) -> str:
    return (
        ", ".join(f"{value:g} {key}" for key, value in resources.items() if (value or zero) and value < math.inf)
        or "nothing"
    )
