"""Compare a sweep of 20 trials with 10 reports each, fully recorded by trialrun, with bare Ray Tune.

Both take turns in one Ray. Bare Tune has reuse_actors=True and its own loggers, which is the fair comparison: without
reuse it takes about eight times longer. The first round of each is a warm-up.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

import trialrun

__all__ = ["main", "measure"]

TRIALS = 20
REPORTS = 10
ROUNDS = 3
PLUGIN = f"""
def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("this plugin tunes")

def tune(hyperparameter, run, dataset, checkpoint):
    for step in range({REPORTS}):
        run.log_metric("train", "loss", hyperparameter["x"] / (step + 1), step=step)
        run.report({{"loss": hyperparameter["x"] / (step + 1)}})
"""


def _bare_trial(config: dict[str, Any]) -> None:
    for step in range(REPORTS):
        tune.report({"loss": config["x"] / (step + 1)})


def _bare(folder: Path) -> None:
    tuner = tune.Tuner(
        tune.with_resources(_bare_trial, {"cpu": 1}),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=TRIALS, max_concurrent_trials=2, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=str(folder), name="bare", verbose=0),
    )
    if len(tuner.fit()) != TRIALS:
        raise RuntimeError("a trial is missing")


def _through_trialrun(folder: Path) -> None:
    (folder / "plugin.py").write_text(PLUGIN, encoding="utf-8")
    job = {
        "action": "train",
        "params": {
            "name": "sweep",
            "dataset": 1,
            "is_tune": True,
            "hyperparameters": [{"name": "x", "type": "uniform", "min": 0, "max": 1}],
            "tune_config": {"metric": "loss", "mode": "min", "num_samples": TRIALS, "max_concurrent_trials": 2},
        },
    }
    rows = [{"category": "train", "data": {"x": 1}}]
    result = trialrun.run(job, plugin=folder / "plugin.py", datasets={1: rows}, results=folder / "results")
    if result.status != "SUCCEEDED" or any(failure.status == "ERROR" for failure in result.failures):
        raise RuntimeError(str(result.failures))


def measure(rounds: int) -> tuple[float, float]:
    """Return the median seconds through trialrun, and of bare Ray Tune."""
    runners: dict[str, Callable[[Path], None]] = {"trialrun": _through_trialrun, "bare": _bare}
    times: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, runner in runners.items():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                started = time.perf_counter()
                runner(Path(folder))
                if number:
                    times[name].append(time.perf_counter() - started)
    return statistics.median(times["trialrun"]), statistics.median(times["bare"])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args(argv)
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # bare Tune is to be as quiet
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    ours, bare = measure(args.rounds)
    ray.shutdown()
    what = f"{TRIALS} trials x {REPORTS} reports"
    figures = [
        {"figure": f"{what}, bare Ray Tune", "value": round(bare, 2), "unit": "s", "aim": ""},
        {"figure": f"{what}, trialrun / bare", "value": round(ours / bare, 2), "unit": "times", "aim": "≤ 1.25"},
    ]
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
