"""Whether the nodes of a cluster share the results folder, in which trials write what the driver reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trialrun_hookspecs.errors import Problem, UsageError

__all__ = ["check_shared", "wait_for_marker", "write_marker"]

_WAIT_S = 60.0
_ARRIVES_S = 10.0  # a network file system may show a new file late
_MARK = ".node-"


def check_shared(folder: Path) -> None:
    """Have every other node leave a word in `folder`, and read it here.

    Raises UsageError with all nodes that cannot, or whose word does not arrive. A node that gives no answer within a
    minute, because it is busy or goes, is passed over.
    """
    here = ray.get_runtime_context().get_node_id()
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    asked = {_submit_marker_task(node, folder): node for node in nodes if node != here}
    if not asked:
        return
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_WAIT_S)
    troubles = {asked[each]: _describe_failure(each, asked[each], folder) for each in answered}
    for node in nodes:
        (folder / f"{_MARK}{node}").unlink(missing_ok=True)
    problems = [_build_problem(nodes[node], folder, why) for node, why in troubles.items() if why]
    if problems:
        raise UsageError(problems=problems)


def write_marker(folder: str, node: str) -> None:
    """Run on a node: leave its word in the folder, which must be there. Raises OSError."""
    Path(folder, f"{_MARK}{node}").write_text(node, encoding="ascii")


def wait_for_marker(folder: Path, node: str, limit_s: float = _ARRIVES_S) -> bool:
    """Whether what the node left can be read here, soon."""
    end = time.monotonic() + limit_s
    while not (there := any(path.name == f"{_MARK}{node}" for path in folder.iterdir())) and time.monotonic() < end:
        time.sleep(0.1)
    return there


def _submit_marker_task(node: str, folder: Path) -> Any:
    placed = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(write_marker).options(num_cpus=0, max_retries=0, scheduling_strategy=placed)
    return task.remote(str(folder), node)


def _describe_failure(asked: Any, node: str, folder: Path) -> str:
    try:
        ray.get(asked)
    except ray.exceptions.RayTaskError as error:
        return str(error.cause or error).strip().rpartition("\n")[2]
    except ray.exceptions.RayError:  # the node went
        return ""
    return "" if wait_for_marker(folder, node) else "what it writes there does not arrive here"


def _build_problem(host: str, folder: Path, why: str) -> Problem:
    return Problem(
        where="--results",
        rule="must be a folder that all nodes share",
        got=f"{folder}: node {host}: {why}",
        fix="Name one on a file system that every node mounts at the same path.",
    )
