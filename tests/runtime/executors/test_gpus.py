"""Waiting for the memory of a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trialrun.executors.gpus import Gpu, GpuBusy, list_gpu_names, query_gpus, wait_for_gpu

MIB = 2**20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def used(values: Sequence[int]) -> Callable[[Any], list[Gpu]]:
    """A GPU of 100 MiB of which others use so much, one value per query; the last one is repeated."""
    rest = list(values)
    return lambda ids: [Gpu(name="0", used=rest.pop(0) if len(rest) > 1 else rest[0], total=100)]


def wait(values: Sequence[int], share: float, seconds: float = 10.0) -> float:
    clock = Clock()
    wait_for_gpu([0], share, seconds, where="trial 'a'", query=used(values), clock=clock, sleep=clock.sleep)
    return clock.now


def test_a_free_gpu_is_not_waited_for() -> None:
    assert wait([2], share=1.0) == 0


def test_it_waits_until_the_one_before_has_let_go() -> None:
    assert wait([90, 40, 4], share=1.0) == 2


def test_half_a_gpu_is_free_while_the_other_half_is_used() -> None:
    assert wait([54], share=0.5) == 0
    assert wait([60, 50], share=0.5) == 1


def test_a_gpu_that_stays_busy_fails_the_trial_and_says_by_how_much() -> None:
    with pytest.raises(GpuBusy, match=r"trial 'a'.*100% of.*GPU 0: 90 of 100 MiB.*wait_for_gpu_s"):
        wait([90], share=1.0, seconds=3)


class DriverError(Exception):
    """The error of the driver for a question that it cannot answer."""


class Driver:
    """A driver with two GPUs of 1000 MiB, with the names of `pynvml`. Process 1 is not ours."""

    NVMLError = DriverError
    nvmlMemory_v2 = 2  # noqa: N815

    def __init__(self, *processes: tuple[int, int | None], there: bool = True) -> None:
        self.processes = [
            SimpleNamespace(pid=pid, usedGpuMemory=None if n is None else n * MIB) for pid, n in processes
        ]
        self.there = there
        self.opened = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.there:
            raise DriverError
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index > 1:
            raise DriverError
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return ["GPU-a", "GPU-b"].index(uuid)

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        return handle

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return f"model {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int) -> Any:  # noqa: N802
        assert version == self.nvmlMemory_v2
        return SimpleNamespace(used=(700 if handle == 0 else 10) * MIB, total=1000 * MIB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return self.processes if handle == 0 else []


def test_what_this_process_holds_is_not_waited_for() -> None:
    driver = Driver((os.getpid(), 600), (1, 90), (os.getpid(), None))
    expected = [Gpu(name="0", used=100, total=1000), Gpu(name="1", used=10, total=1000)]
    assert query_gpus([0, 1], driver) == query_gpus(["GPU-a", "GPU-b"], driver) == expected
    assert driver.opened == 0


def test_gpus_have_names() -> None:
    assert list_gpu_names(Driver()) == ["model 0", "model 1"]


@pytest.mark.parametrize(("driver", "ids"), [(Driver(there=False), [0]), (Driver(), [0, 7])])
def test_a_driver_that_cannot_answer_is_not_waited_for(driver: Driver, ids: list[int]) -> None:
    assert query_gpus(ids, driver) == []
    assert driver.opened == 0
    wait_for_gpu(ids, 1.0, 0.0, query=lambda ids: query_gpus(ids, driver))


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has NVIDIA's driver")
def test_a_machine_without_a_driver_has_no_gpus() -> None:
    assert (query_gpus([0]), list_gpu_names()) == ([], [])


@pytest.mark.gpu
def test_a_real_gpu_tells_its_memory() -> None:
    (found,) = query_gpus([0])
    assert 0 <= found.used <= found.total
    assert found.total > 1000
