"""Waiting for the memory of a GPU that the trial before may not have let go of yet."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trialrun_hookspecs.errors import TrialFailed

__all__ = ["Gpu", "GpuBusy", "query_gpus", "wait_for_gpu"]

_TOLERANCE = 0.05  # of a GPU's memory: what its driver and an empty CUDA context hold
_RETRY_INTERVAL_S = 1.0
_QUERY_TIMEOUT_S = 20


class GpuBusy(TrialFailed):
    """Others held the memory of the trial's GPU for longer than it was to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU and its memory in MiB. `used` is without what this very process holds."""

    name: str
    used: float
    total: float


def wait_for_gpu(
    ids: Sequence[int | str],
    share: float,
    seconds: float,
    *,
    where: str = "",
    ask: Callable[[Sequence[int | str]], list[Gpu]] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when `share` of the memory of each of these GPUs is free; at once where there is no NVIDIA GPU to ask.

    Raises GpuBusy after so many seconds.
    """
    asked = ask or query_gpus
    most = 1 - min(share, 1.0) + _TOLERANCE
    end = clock() + seconds
    while True:
        busy = [gpu for gpu in asked(ids) if gpu.used > most * gpu.total]
        if not busy:
            return
        if clock() >= end:
            raise GpuBusy(
                f"{min(share, 1.0):.0%} of its GPU's memory must be free before it starts",
                where=where,
                got="; ".join(f"GPU {gpu.name}: {gpu.used:g} of {gpu.total:g} MiB used by others" for gpu in busy),
                fix="End what holds it (nvidia-smi shows what), or wait longer: tune_config.wait_for_gpu_s.",
            )
        sleep(min(_RETRY_INTERVAL_S, max(end - clock(), 0)))


def query_gpus(ids: Sequence[int | str]) -> list[Gpu]:
    """These GPUs as nvidia-smi sees them; none where there is no nvidia-smi, or it does not know them."""
    chosen = ["-i", ",".join(map(str, ids))]
    gpus = _run_nvidia_smi([*chosen, "--query-gpu=uuid,index,memory.used,memory.total"]) if ids else []
    if not gpus:
        return []
    own: dict[str, float] = {}
    for uuid, pid, used in _run_nvidia_smi([*chosen, "--query-compute-apps=gpu_uuid,pid,used_memory"]):
        if pid == str(os.getpid()):
            own[uuid] = own.get(uuid, 0.0) + _parse_number(used)
    return [
        Gpu(name=index, used=max(_parse_number(used) - own.get(uuid, 0.0), 0.0), total=_parse_number(total))
        for uuid, index, used, total in gpus
    ]


def _run_nvidia_smi(arguments: Sequence[str]) -> list[list[str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, *arguments, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=True)  # noqa: S603  # its path is the system's
    except (OSError, subprocess.SubprocessError):
        return []
    return [[cell.strip() for cell in row] for row in csv.reader(done.stdout.splitlines()) if row]


def _parse_number(text: str) -> float:
    """MiB; what nvidia-smi cannot tell (`[N/A]`) counts as nothing."""
    try:
        return float(text)
    except ValueError:
        return 0.0
