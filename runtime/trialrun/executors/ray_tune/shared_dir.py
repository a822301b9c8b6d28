"""A test that all nodes share the results folder, in which trials write what the driver reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trialrun_hookspecs.errors import Problem, UsageError

__all__ = ["check_shared", "wait_for_marker", "write_marker"]

_WAIT_S = 60.0
_ARRIVAL_S = 10.0  # a network file system may show a new file late
_MARKER_PREFIX = ".node-"


def check_shared(folder: Path) -> None:
    """Let every other node write a marker file to `folder`, and look for it here.

    Raises UsageError with all nodes that cannot write there, or whose file does not arrive. A node that does not answer
    within a minute, because it is busy or leaves, is skipped.
    """
    here = ray.get_runtime_context().get_node_id()
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    tasks = {_submit_marker_task(node, folder): node for node in nodes if node != here}
    if not tasks:
        return
    answered, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=_WAIT_S)
    failures = {tasks[each]: _describe_failure(each, tasks[each], folder) for each in answered}
    for node in nodes:
        (folder / f"{_MARKER_PREFIX}{node}").unlink(missing_ok=True)
    problems = [_build_problem(nodes[node], folder, why) for node, why in failures.items() if why]
    if problems:
        raise UsageError(problems=problems)


def write_marker(folder: str, node: str) -> None:
    """Write the node's marker file. Runs on the node. Raises OSError if the folder does not exist or is read-only."""
    Path(folder, f"{_MARKER_PREFIX}{node}").write_text(node, encoding="ascii")


def wait_for_marker(folder: Path, node: str, limit_s: float = _ARRIVAL_S) -> bool:
    """Return True if the node's marker file appears here within `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while (
        not (there := any(path.name == f"{_MARKER_PREFIX}{node}" for path in folder.iterdir()))
        and time.monotonic() < end
    ):
        time.sleep(0.1)
    return there


def _submit_marker_task(node: str, folder: Path) -> Any:
    placed = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(write_marker).options(num_cpus=0, max_retries=0, scheduling_strategy=placed)
    return task.remote(str(folder), node)


def _describe_failure(tasks: Any, node: str, folder: Path) -> str:
    try:
        ray.get(tasks)
    except ray.exceptions.RayTaskError as error:
        return str(error.cause or error).strip().rpartition("\n")[2]
    except ray.exceptions.RayError:  # the node has left
        return ""
    return "" if wait_for_marker(folder, node) else "the files it writes there do not arrive here"


def _build_problem(host: str, folder: Path, why: str) -> Problem:
    return Problem(
        where="--results",
        rule="must be a folder that all nodes share",
        got=f"{folder}: node {host}: {why}",
        fix="Name one on a file system that every node mounts at the same path.",
    )
