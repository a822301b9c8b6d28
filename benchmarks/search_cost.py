"""Measure the seconds of one suggestion after 10, 40, 100 and 300 observations, for every installed algorithm.

The space is the mixed one of `search_quality.py`, in primitives. Each suggestion is reported before the next, so that
models are fitted as in a study. --library measures the plain bayesian-optimization too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported

from trialrun.space import Category, Integer, Primitive, Real

__all__ = ["OBSERVATIONS", "main", "measure"]

OBSERVATIONS = (10, 40, 100, 300)
LIBRARIES = {"hyperopt": "hyperopt", "optuna": "optuna", "bayesopt": "bayes_opt", "ax": "ax"}
REPEATS = 7
SPACE: Mapping[str, Primitive] = {
    "lr": Real(low=math.log(1e-6), high=0.0),
    "dropout": Real(low=0.0, high=1.0),
    "layers": Integer(low=1, high=16),
    "optimizer": Category(size=4),
}


def loss(point: Mapping[str, Any]) -> float:
    rate = 0.1 * (point["lr"] + 7 + point["optimizer"]) ** 2
    return float(rate + 4 * (point["dropout"] - 0.3) ** 2 + 0.02 * (point["layers"] - 7) ** 2)


def _suggestions(name: str, observations: int) -> list[float]:
    """Return the seconds of several suggestions, the first after this many observations."""
    algorithm = importlib.import_module(f"trialrun.search.{name}").make(SPACE, mode="min", seed=0, options={})
    rng = random.Random(observations)
    for number in range(observations):
        point = {key: primitive.sample(rng) for key, primitive in SPACE.items()}
        algorithm.ask(str(number), point)
        algorithm.tell(str(number), loss(point))
    return _timed(algorithm.ask, lambda t, p: algorithm.tell(t, loss(p)))


def _library(observations: int) -> list[float]:
    """Measure bayesian-optimization with its own typed parameters, kernel and search."""
    from bayes_opt import BayesianOptimization

    bounds = {
        "lr": (math.log(1e-6), 0.0),
        "dropout": (0.0, 1.0),
        "layers": (1, 16, int),
        "optimizer": ["0", "1", "2", "3"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = BayesianOptimization(None, bounds, random_state=0, verbose=0)
    rng = random.Random(observations)

    def tell(trial_id: str, point: Mapping[str, Any]) -> None:
        optimizer.register(dict(point), -loss({**point, "optimizer": int(point["optimizer"])}))

    for _ in range(observations):
        point = {key: primitive.sample(rng) for key, primitive in SPACE.items()}
        tell("", {**point, "optimizer": str(point["optimizer"])})
    return _timed(lambda trial_id: optimizer.suggest(), tell, repeats=2)


def _timed(ask: Callable[[str], Any], tell: Callable[[str, Any], None], *, repeats: int = REPEATS) -> list[float]:
    seconds = []
    for number in range(repeats):
        start = time.perf_counter()
        point = ask(f"timed{number}")
        seconds.append(time.perf_counter() - start)
        tell(f"timed{number}", point)
    return seconds


def measure(name: str) -> dict[int, list[float]]:
    """Return the seconds of several suggestions by the number of observations."""
    timed = _library if name == "library" else lambda n: _suggestions(name, n)
    return {observations: timed(observations) for observations in OBSERVATIONS}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--library", action="store_true", help="measure the plain bayesian-optimization too")
    installed = [name for name, library in LIBRARIES.items() if importlib.util.find_spec(library)]
    parser.add_argument("--algorithms", nargs="+", default=installed)
    args = parser.parse_args(argv)
    figures = []
    for name in [*args.algorithms, *(["library"] if args.library else [])]:
        for observations, seconds in measure(name).items():
            median, longest = statistics.median(seconds), max(seconds)
            aim = "≤ 0.2" if name == "bayesopt" else ""
            figures.append(
                {"figure": f"{name} after {observations}", "value": round(median, 4), "unit": "s", "aim": aim}
            )
            if not args.json:
                print(f"{name:9} {observations:>4}  median {median:.4f} s  longest {longest:.4f} s", flush=True)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
