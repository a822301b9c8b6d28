"""The connection to Ray: join a running one, or start one and stop it afterwards."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import ray
from ray._private import ray_constants, services

from trialrun.executors.capacity import ResourceRequest, check_capacity
from trialrun.executors.workspace import StreamProxy
from trialrun_hookspecs.errors import UsageError

__all__ = [
    "check_cluster_capacity",
    "check_local_capacity",
    "check_reachable",
    "connect_ray",
    "get_cluster_address",
    "get_local_capacity",
    "listen_on_loopback",
    "redirect_logs",
    "resolve_address",
    "resolve_client_address",
    "retry_client",
    "set_tune_environment",
]

# Our recorder logs every result. A missing objective must fail its trial only, not the study.
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # the old output engine is silent with verbose=0, the new one is not
}


_CLIENT = "ray://"
_SLOW_CLIENT = "Starting Ray client server failed"
_REACH_S = 5.0


@contextlib.contextmanager
def set_tune_environment(extra: Mapping[str, str] | None = None) -> Iterator[None]:
    """Set the environment variables that Tune reads, and restore them."""
    with _set_environment({**_TUNE_ENVIRONMENT, **(extra or {})}):
        yield


@contextlib.contextmanager
def _set_environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def redirect_logs(log: Path) -> Iterator[None]:
    """Send Ray's messages on the driver to a file: its loggers, and the lines about workers that it prints."""
    logger = logging.getLogger("ray")
    handlers, propagate = list(logger.handlers), logger.propagate
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers, logger.propagate = [handler], False
    out, sys.stdout = sys.stdout, _RayletFilter(sys.stdout, handler)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="sklearn")  # pb2's Gaussian process fits on few points
            yield
    finally:
        sys.stdout = out
        logger.handlers, logger.propagate = handlers, propagate
        handler.close()


class _RayletFilter(StreamProxy):
    """stdout without Ray's lines about dead workers: no option of Ray removes them, and trial errors repeat them."""

    def __init__(self, shown: TextIO, log: logging.Handler) -> None:
        super().__init__(shown)
        self._log = log
        self._swallowing = threading.local()

    def write(self, text: str) -> int:
        if "(raylet" in text:
            self._swallowing.line = not text.endswith("\n")
            self._log.handle(logging.LogRecord("ray", logging.WARNING, "", 0, text.strip(), None, None))
            return len(text)
        if getattr(self._swallowing, "line", False):
            self._swallowing.line = False
            if not text.strip():
                return len(text)
        return self._shown.write(text)


@contextlib.contextmanager
def connect_ray(address: str | None, resources: Mapping[str, float], environment: Mapping[str, str]) -> Iterator[None]:
    """Connect to the Ray of this process, else to the one at `address` or RAY_ADDRESS, else start a local one.

    Afterwards a local one is shut down, and one joined by address is disconnected. Raises UsageError: no Ray answers.
    """
    if ray.is_initialized():
        yield
        return
    address = resolve_address(address)
    if address and address.startswith(_CLIENT):
        address = resolve_client_address(address)
    options: dict[str, Any] = {"include_dashboard": False} if not address else {}
    if address:
        options["runtime_env"] = {"env_vars": dict(environment)} if environment else None
    else:
        size = get_local_capacity(resources)
        custom = {key: value for key, value in size.items() if key not in ("CPU", "GPU")}
        options |= {"num_cpus": size["CPU"], "num_gpus": size.get("GPU", 0), "resources": custom or None}
    try:
        loopback_only = not address or _is_loopback_only(address)
        with set_tune_environment(environment), listen_on_loopback() if loopback_only else contextlib.nullcontext():
            ray.init(address=address or "local", log_to_driver=False, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_ray_error(address, str(error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def resolve_client_address(address: str) -> str:
    """Return the address of the cluster itself that Ray Client serves at `ray://host:port`.

    Over Ray Client, Tune would run the study inside the cluster and this process would get no events of its trials, so
    we join the cluster directly. The server starts a process per client, which may time out: the query is repeated.
    Raises UsageError: Ray Client is not installed, or does not answer.
    """

    def read_gcs_address() -> str:  # nested, so that it is pickled by value
        import ray

        gcs_address: str = ray.get_runtime_context().gcs_address
        return gcs_address

    def ask_address() -> str:
        client = ray.init(address, log_to_driver=False)
        try:
            return str(ray.get(ray.remote(read_gcs_address).options(num_cpus=0).remote()))
        finally:
            client.disconnect()
            ray.shutdown()

    try:
        return retry_client(ask_address, lambda error: _SLOW_CLIENT in str(error))
    except ImportError as error:
        fix = "Install it: pip install 'ray[client]', or give the cluster's own address, such as head:6379."
        raise UsageError(
            "Ray Client is not installed", where="--address", got=f"{address!r} ({error})", fix=fix
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_ray_error(address, str(error)) from error


def retry_client(ask: Callable[[], str], worth_it: Callable[[Exception], bool], times: int = 3) -> str:
    """Return what `ask` returns. It is called up to `times` times, while `worth_it` is true for what it raises."""
    for _ in range(times - 1):
        try:
            return ask()
        except Exception as error:
            if not worth_it(error):
                raise
    return ask()


@contextlib.contextmanager
def listen_on_loopback() -> Iterator[None]:
    """Make a Ray that is started or joined in the block listen on 127.0.0.1 only, as on systems without clusters.

    Otherwise its ports are open to the network, protected by a token. Ray reads the variable when it is imported, so
    its constant is set too; Ray's processes inherit the variable.
    """
    with _set_environment({"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}):
        before = ray_constants.ENABLE_RAY_CLUSTER
        ray_constants.ENABLE_RAY_CLUSTER = False
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before


def _is_loopback_only(address: str) -> bool:
    """Return True for a Ray that listens on loopback only. To any other Ray, 127.0.0.1 means the public address."""
    host, _, port = address.rpartition(":")
    if host not in ("127.0.0.1", "localhost"):
        return False
    try:
        socket.create_connection((services.get_node_ip_address(), int(port)), timeout=_REACH_S).close()
    except OSError:
        return True
    return False


def resolve_address(address: str | None) -> str | None:
    """Return the given address of Ray, else RAY_ADDRESS, else None: start a local one."""
    return address or os.environ.get("RAY_ADDRESS") or None


def get_cluster_address() -> str:
    """Return the address at which other processes of this machine join the Ray of this process."""
    address: str = ray.get_runtime_context().gcs_address
    return address


def check_reachable(address: str | None) -> None:
    """Raise UsageError if nothing listens at `host:port`: Ray itself would end the process after a while."""
    match = re.fullmatch(r"(?:ray://)?([^/]+):(\d+)", address or "")
    if not match:
        return  # none, `auto` or `local`, which Ray resolves
    try:
        socket.create_connection((match[1], int(match[2])), timeout=_REACH_S).close()
    except OSError as error:
        raise _no_ray_error(address, str(error)) from error


def _no_ray_error(address: str | None, why: str) -> UsageError:
    fix = "Check the address and that the cluster runs, or leave it out to start a local Ray. "
    fix += "From outside of a cluster, use trialrun submit."
    if os.environ.get("RAY_AUTH_MODE") != "token":  # what `ray start` turns on by itself
        fix += " For a cluster that requires a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
    return UsageError("no Ray answers at this address", where="--address", got=f"{address!r} ({why})", fix=fix)


def get_local_capacity(resources: Mapping[str, float]) -> dict[str, float]:
    """Return the resources of a local Ray: this machine's, replaced by those in `resources`."""
    return {"CPU": float(os.cpu_count() or 1), **_detect_local_gpus(), **resources}


def _detect_local_gpus() -> dict[str, float]:
    """Return the GPUs that Ray will detect, before it starts, so that too large a request is refused at once."""
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    count = manager.get_current_node_num_accelerators() if manager else 0
    return {"GPU": float(count)} if count else {}


def check_cluster_capacity(request: ResourceRequest) -> None:
    """Raise Infeasible if the live nodes, all of them empty, could not hold one trial."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    check_capacity(request, nodes, "this machine" if len(nodes) == 1 else f"a cluster of {len(nodes)} node(s)")


def check_local_capacity(request: ResourceRequest, resources: Mapping[str, float]) -> None:
    """Raise Infeasible if a local Ray could not hold one trial. Memory is not counted: Ray decides how much it has."""
    check_capacity(request, [{"memory": math.inf, **get_local_capacity(resources)}], "this machine")
