"""Measure the memory of four concurrent trials that share a large array: the node must hold one copy, not four.

The array is an attribute of a plugin object. trialrun puts it into Ray's object store once, and the workers map it.
Each trial waits for the others, reads every number, and measures its memory before and after. Shared memory counts
fully in the RSS of each process, in parts in PSS, and not in USS.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import trialrun
from trialrun_hookspecs import hookimpl

__all__ = ["Plugin", "main", "measure", "memory"]

MEGABYTES = 1000
TRIALS = 4
WAIT_S = 120.0
MB = 1e6


def memory() -> dict[str, float]:
    """Return the memory of this process in MB: RSS, PSS and USS (its private part)."""
    lines = (line.split() for line in Path("/proc/self/smaps_rollup").read_text("utf-8").splitlines()[1:])
    kb = {words[0].rstrip(":"): float(words[1]) for words in lines}
    found = {"rss": kb["Rss"], "pss": kb["Pss"], "uss": kb["Private_Clean"] + kb["Private_Dirty"]}
    return {key: value * 1024 / MB for key, value in found.items()}


class Plugin:
    """A plugin that holds the array; its concurrent trials read all of it."""

    def __init__(self, array: NDArray[np.float64], trials: int) -> None:
        self.array = array
        self.trials = trials

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> None:
        raise NotImplementedError

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any) -> dict[str, float]:
        before = memory()
        total = float(self.array.sum())
        self._wait_for("read")
        after = memory()
        self._wait_for("measured")  # none may end, and unmap it, before all have looked
        grown = {f"{key}_grown": after[key] - before[key] for key in after}
        return {"loss": total, "writeable": float(self.array.flags.writeable), **after, **grown}

    def _wait_for(self, mark: str) -> None:
        Path(mark).touch()
        end = time.monotonic() + WAIT_S
        while len(list(Path("..").glob(f"*/{mark}"))) < self.trials:
            if time.monotonic() > end:
                raise TimeoutError(f"not all trials came to {mark!r}")
            time.sleep(0.05)


def measure(megabytes: int, trials: int, folder: Path) -> list[dict[str, float]]:
    """Return what each trial measured. Starts a local Ray unless one is running."""
    array = np.ones(int(megabytes * MB / 8))
    space = [{"name": "n", "type": "grid_search", "options": list(range(trials))}]
    params: dict[str, Any] = {"name": "large", "dataset": 1, "is_tune": True, "hyperparameters": space}
    params["tune_config"] = {"metric": "loss", "mode": "min"}
    result = trialrun.run(
        {"action": "train", "params": params},
        plugin=Plugin(array, trials),
        datasets={1: [{"category": "train", "data": {}}]},
        results=folder,
        local_resources={"CPU": trials},
    )
    from trialrun.recorder import Recorder

    with Recorder.open(Path(result.results_dir) / "recorder.sqlite") as recorder:
        return [event["data"]["metrics"] for event in recorder.events("trial_result")]


def _figures(found: Sequence[dict[str, float]], megabytes: int) -> list[dict[str, Any]]:
    copies = [trial["uss_grown"] / megabytes for trial in found]
    shared = sum(trial["pss_grown"] for trial in found) / megabytes
    rows: list[tuple[str, float, str, str]] = [
        ("array", megabytes, "MB", ""),
        ("trials that read it at once", len(found), "trials", ""),
        ("RSS of a worker, the largest", max(trial["rss"] for trial in found), "MB", ""),
        ("USS of a worker, the largest", max(trial["uss"] for trial in found), "MB", ""),
        ("private memory that reading added, per worker, the most", max(copies), "copies", "≤ 0.05"),
        ("PSS that reading added, all workers", shared, "copies", "≤ 1.1"),
    ]
    return [{"figure": name, "value": round(value, 3), "unit": unit, "aim": aim} for name, value, unit, aim in rows]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument("--trials", type=int, default=TRIALS)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = _figures(measure(args.megabytes, args.trials, Path(folder)), args.megabytes)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>10,.3f} {figure['unit']:<7} {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
