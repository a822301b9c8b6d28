"""Count the steps that are lost or recorded twice when SIGKILL ends workers and drivers and the run resumes.

One study on Ray kills every trial once at a random step (max_failures: 1). Other studies lose their driver at a random
step, and `trialrun resume` finishes them: on the inline executor, and with --ray on Ray too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trialrun import Recorder

__all__ = ["main"]

STEPS = 6
PLUGIN = """
import json, os, signal, time
from pathlib import Path

def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("training has no business here")

def tune(hyperparameter, run, dataset, checkpoint=None, **kwargs):
    first = 0
    if checkpoint and checkpoint.get("resumed"):
        first = json.loads((Path(checkpoint["path"]) / "state.json").read_text())["next"]
    folder = Path("state"); folder.mkdir(exist_ok=True)
    results = next(path for path in Path.cwd().parents if (path / "job.json").exists())
    process, when = hyperparameter["die"].split()
    when = int(when) if process == "driver" else int(run.seed % 6)
    for step in range(first, 6):
        run.log_metric("steps", "step", step)
        mark = results / "died" if process == "driver" else Path("died")
        mine = process == "self" or run.trial_id.endswith("1")
        if process != "no" and mine and step == when and not mark.exists():
            mark.touch()
            os.kill(int((results / "lock").read_text()) if process == "driver" else os.getpid(), signal.SIGKILL)
            time.sleep(60)
        (folder / "state.json").write_text(json.dumps({"next": step + 1}))
        run.report({"loss": 1 / (step + 1)}, checkpoint=folder if step % 2 else None)
    run.checkpoint_output = folder / "state.json"
"""


def _run(folder: Path, die: str, trials: int, *options: str, **config: Any) -> int:
    folder.mkdir(parents=True)
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "line.csv").write_text("x,y\n1,2\n")
    space = [{"name": "die", "type": "choice", "options": [die]}, {"name": "x", "type": "uniform", "min": 0, "max": 1}]
    tune_config = {"metric": "loss", "mode": "min", "num_samples": trials, "seed": 1, **config}
    params = {"name": "kills", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": tune_config}
    (folder / "job.json").write_text(json.dumps({"action": "train", "params": params}))
    head = ["run", "job.json", "--plugin", "plugin.py", "--dataset", "1=line.csv", "--results", "results", "--quiet"]
    return _trialrun([*head, *options], folder)


def _trialrun(arguments: Sequence[str], folder: Path) -> int:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "trialrun", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False, timeout=900).returncode


def _faults(folder: Path, trials: int) -> tuple[int, int]:
    """Return how many steps and reports are missing, and how many were recorded more than once."""
    with Recorder.open(folder / "results" / "kills-1" / "recorder.sqlite") as recorder:
        steps = Counter((entry["trial_id"], int(entry["value"])) for entry in recorder.metrics())
        told = [entry["data"] for entry in recorder.events("trial_result")]
        reports = Counter((entry["trial_id"], entry["iteration"]) for entry in told)
        models = len(recorder.models())
    lost = 2 * trials * STEPS - len(steps) - len(reports) + trials - min(models, trials)
    twice = sum(seen - 1 for seen in [*steps.values(), *reports.values()])
    return lost, twice + max(models - trials, 0)


def _drivers(root: Path, count: int, *options: str) -> tuple[int, int]:
    rng = random.Random(0)
    lost = doubled = 0
    for number in range(count):
        folder = root / f"{number}"
        code = _run(folder, f"driver {rng.randrange(STEPS)}", 3, *options)
        if code != -signal.SIGKILL:
            raise SystemExit(f"the driver was not killed: {code}")
        code = _trialrun(["resume", "results/kills-1", "--quiet"], folder)
        if code:
            raise SystemExit(f"resume failed: {code}")
        found = _faults(folder, 3)
        lost, doubled = lost + found[0], doubled + found[1]
    return lost, doubled


def main(arguments: Sequence[str]) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON array of figures")
    parser.add_argument("--workers", type=int, default=10, help="trials whose worker is killed once")
    parser.add_argument("--drivers", type=int, default=5, help="drivers killed on the inline executor")
    parser.add_argument("--ray", type=int, default=0, help="drivers killed on Ray")
    given = parser.parse_args(arguments)
    figures = []

    def tell(what: str, lost: int, doubled: int) -> None:
        for kind, value in (("lost", lost), ("recorded twice", doubled)):
            figure = f"steps, reports and models {kind} over {what}"
            figures.append({"figure": figure, "value": value, "unit": "", "aim": "≤ 0"})
            if not given.json:
                print(f"{value:6} {kind} over {what}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if given.workers:
            _run(root / "workers", "self 0", given.workers, max_failures=1, max_concurrent_trials=2)
            tell(f"{given.workers} worker kills", *_faults(root / "workers", given.workers))
        if given.drivers:
            found = _drivers(root / "inline", given.drivers, "--executor", "inline")
            tell(f"{given.drivers} driver kills (inline)", *found)
        if given.ray:
            tell(f"{given.ray} driver kills (Ray)", *_drivers(root / "ray", given.ray))
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
