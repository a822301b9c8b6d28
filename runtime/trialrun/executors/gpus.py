"""GPUs as NVIDIA's driver sees them, and waiting until a previous trial has released the memory of one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trialrun_hookspecs.errors import TrialFailed

__all__ = ["Gpu", "GpuBusy", "list_gpu_names", "query_gpus", "wait_for_gpu"]

_TOLERANCE = 0.05  # of a GPU's memory: what its driver and an empty CUDA context hold
_RETRY_INTERVAL_S = 1.0

T = TypeVar("T")


class GpuBusy(TrialFailed):
    """Other processes held the memory of the trial's GPU for longer than the trial may wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU and its memory in MiB. `used` leaves out what this process holds."""

    name: str
    used: int
    total: int


def wait_for_gpu(
    ids: Sequence[int | str],
    share: float,
    seconds: float,
    *,
    where: str = "",
    query: Callable[[Sequence[int | str]], list[Gpu]] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when `share` of the memory of each of these GPUs is free; at once where there is no NVIDIA driver.

    Raises GpuBusy after that many seconds.
    """
    limit = 1 - min(share, 1.0) + _TOLERANCE
    end = clock() + seconds
    while True:
        busy = [gpu for gpu in (query or query_gpus)(ids) if gpu.used > limit * gpu.total]
        if not busy:
            return
        if clock() >= end:
            raise GpuBusy(
                f"{min(share, 1.0):.0%} of its GPU's memory must be free before it starts",
                where=where,
                got="; ".join(f"GPU {gpu.name}: {gpu.used} of {gpu.total} MiB used by others" for gpu in busy),
                fix="End what holds it (nvidia-smi shows what), or wait longer: tune_config.wait_for_gpu_s.",
            )
        sleep(min(_RETRY_INTERVAL_S, max(end - clock(), 0)))


def query_gpus(ids: Sequence[int | str], nvml: Any = None) -> list[Gpu]:
    """Return these GPUs, given by index or UUID; none where there is no driver, or where it does not know one of them.

    `nvml` stands in for the module `pynvml`.
    """
    return _ask_driver(nvml, lambda driver: [_read_gpu(driver, _get_handle(driver, str(each))) for each in ids])


def list_gpu_names(nvml: Any = None) -> list[str]:
    """Return the models of all GPUs; none where there is no driver. `nvml` stands in for the module `pynvml`."""
    return _ask_driver(nvml, lambda driver: [str(driver.nvmlDeviceGetName(each)) for each in _iterate_handles(driver)])


def _ask_driver(nvml: Any, ask: Callable[[Any], list[T]]) -> list[T]:
    import pynvml

    driver = nvml or pynvml
    try:
        driver.nvmlInit()
        try:
            return ask(driver)
        finally:
            driver.nvmlShutdown()
    except driver.NVMLError:
        return []


def _iterate_handles(driver: Any) -> Iterable[Any]:
    return map(driver.nvmlDeviceGetHandleByIndex, range(driver.nvmlDeviceGetCount()))


def _get_handle(driver: Any, gpu_id: str) -> Any:
    if gpu_id.isdigit():
        return driver.nvmlDeviceGetHandleByIndex(int(gpu_id))
    return driver.nvmlDeviceGetHandleByUUID(gpu_id)


def _read_gpu(driver: Any, handle: Any) -> Gpu:
    # Version 1 counts the driver's own reserve as used: half a GiB, which nothing can free.
    memory = driver.nvmlDeviceGetMemoryInfo(handle, version=driver.nvmlMemory_v2)
    processes = driver.nvmlDeviceGetComputeRunningProcesses(handle)
    own = sum(each.usedGpuMemory or 0 for each in processes if each.pid == os.getpid())  # None: not known
    name = str(driver.nvmlDeviceGetIndex(handle))
    return Gpu(name=name, used=_to_mib(max(memory.used - own, 0)), total=_to_mib(memory.total))


def _to_mib(size: int) -> int:
    return round(size / 2**20)
