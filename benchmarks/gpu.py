"""Measure trials per hour and the use of the GPUs of this machine; without a GPU, of its CPUs.

    python benchmarks/gpu.py                     one trial at a time on each GPU
    python benchmarks/gpu.py --per-gpu 4         four trials share a GPU
    python benchmarks/gpu.py --channels 256      more to compute: a larger network

It tunes `torch_digits` (or `sklearn_digits`, where PyTorch is not installed) on the digits. The time covers the whole
study, with the start of Ray; nvidia-smi is asked for the use of the GPUs twice a second.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import trialrun

__all__ = ["GpuUse", "main", "measure"]

TRIALS = 8
EPOCHS = 3
PERIOD_S = 0.5


class GpuUse:
    """Sample the use of every GPU, in percent of time and MiB, inside the `with` block."""

    def __init__(self) -> None:
        self.busy: list[float] = []
        self.memory: list[float] = []
        self.names: list[str] = []
        self._program = shutil.which("nvidia-smi")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> GpuUse:
        self.names = [name for name, _, _ in self._rows()]
        if self.names:
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        if self.names:
            self._thread.join()

    def _rows(self) -> list[list[str]]:
        if self._program is None:
            return []
        query = [self._program, "--query-gpu=name,utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        rows = [line.rsplit(", ", 2) for line in done.stdout.splitlines()] if done.returncode == 0 else []
        return [row for row in rows if len(row) == 3]

    def _sample(self) -> None:
        while not self._over.wait(PERIOD_S):
            rows = [row for row in self._rows() if row[1].isdigit() and row[2].isdigit()]
            if rows:
                self.busy.append(statistics.fmean(float(busy) for _, busy, _ in rows))
                self.memory.append(max(float(memory) for _, _, memory in rows))


def _job(args: argparse.Namespace, gpus: int) -> dict[str, Any]:
    space = [
        {"name": "learning_rate", "type": "loguniform", "min": 0.01, "max": 0.1, "base": 10},
        {"name": "epochs", "type": "choice", "options": [args.epochs]},
        {"name": "batch_size", "type": "choice", "options": [args.batch_size]},
        {"name": _width(args.plugin), "type": "choice", "options": [args.channels]},
    ]
    config = {"metric": "accuracy", "mode": "max", "num_samples": args.trials, "seed": 1}
    params: dict[str, Any] = {"name": "gpu-bench", "dataset": 1, "is_tune": True, "hyperparameters": space}
    params["tune_config"] = config
    if gpus:
        params["num_gpus"] = round(1 / args.per_gpu, 4) if args.per_gpu > 1 else 1
        params["num_cpus"] = min(1.0, round((os.cpu_count() or 1) / (gpus * args.per_gpu), 4))
    return {"action": "train", "params": params}


def _width(plugin: str) -> str:
    return "hidden" if plugin == "sklearn_digits" else "channels"


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the study and return the figures."""
    with tempfile.TemporaryDirectory() as folder, GpuUse() as use, contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        result = trialrun.run(
            _job(args, len(use.names)),
            plugin=f"trialrun_reference.{args.plugin}",
            datasets={1: "digits"},
            results=Path(folder),
        )
        wall = time.perf_counter() - started
    best = result.best_trial.metrics["accuracy"] if result.best_trial else 0.0
    device = ", ".join(dict.fromkeys(use.names)) or "no GPU"
    rows: list[tuple[str, float, str]] = [
        (
            f"{args.plugin} on {os.cpu_count()} CPUs, {len(use.names)} GPUs ({device})",
            len(result.trial_models),
            "trials",
        ),
        ("wall time of the study", wall, "s"),
        ("trials per hour", len(result.trial_models) / wall * 3600, "trials/h"),
        ("best accuracy", best, ""),
    ]
    if use.busy:
        rows += [
            ("GPU busy, mean", statistics.fmean(use.busy), "%"),
            ("GPU busy, median", statistics.median(use.busy), "%"),
            ("GPU memory, most", max(use.memory), "MiB"),
        ]
    return [{"figure": name, "value": round(value, 3), "unit": unit, "aim": ""} for name, value, unit in rows]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=16, help="how wide the network is")
    parser.add_argument("--per-gpu", type=int, default=1, help="trials that share a GPU")
    with_torch = find_spec("torch") is not None and find_spec("safetensors") is not None
    parser.add_argument("--plugin", default="torch_digits" if with_torch else "sklearn_digits")
    args = parser.parse_args(argv)
    figures = measure(args)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>12,.2f} {figure['unit']:<8} {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
