"""Waiting for the memory of a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trialrun.executors.gpus import Gpu, GpuBusy, query_gpus, wait_for_gpu


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def used(values: Sequence[float]) -> Callable[[Any], list[Gpu]]:
    """A GPU of 100 MiB of which others use so much, one value per question; the last one stays."""
    left = list(values)
    return lambda ids: [Gpu(name="0", used=left.pop(0) if len(left) > 1 else left[0], total=100.0)]


def wait(values: Sequence[float], share: float, seconds: float = 10.0) -> float:
    clock = Clock()
    wait_for_gpu([0], share, seconds, where="trial 'a'", ask=used(values), clock=clock, sleep=clock.sleep)
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


def test_without_nvidia_smi_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert query_gpus([0]) == []
    wait_for_gpu([0], 1.0, 0.0)


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, apps: str, code: int = 0) -> None:
    """An nvidia-smi that answers as the real one does."""
    script = f"""#!/bin/sh
case "$*" in
  *query-gpu*) echo "GPU-a, 0, 700, 1000"; echo "GPU-b, 1, 10, 1000";;
  *) printf '{apps}';;
esac
exit {code}
"""
    (folder / "nvidia-smi").write_text(script)
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_what_this_process_holds_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smi(tmp_path, monkeypatch, rf"GPU-a, {os.getpid()}, 600\nGPU-a, 1, 90\nGPU-b, 1, [N/A]\n")
    assert query_gpus([0, 1]) == [
        Gpu(name="0", used=100.0, total=1000.0),
        Gpu(name="1", used=10.0, total=1000.0),
    ]


def test_an_nvidia_smi_that_fails_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smi(tmp_path, monkeypatch, "", code=9)
    assert query_gpus([0]) == []


@pytest.mark.gpu
def test_a_real_gpu_tells_its_memory() -> None:
    (found,) = query_gpus([0])
    assert 0 <= found.used <= found.total
    assert found.total > 1000
