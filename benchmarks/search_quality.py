"""Measure the gap between the optimum and the best value that each search algorithm finds in 30 trials, over seeds.

Branin and Hartmann 6 are the usual test functions (https://www.sfu.ca/~ssurjano/optimization.html). The mixed one has a
learning rate on a log scale, a dropout, a number of layers, and a choice that moves the best learning rate. --digits
adds the networks of the reference plugin (the share of digits misread). The spaces are those of a job.

--ray-python adds Ray's own BayesOptSearch where it accepts the space: name a Python with `ray[tune]` and
`bayesian-optimization==1.5.1`, the newest it works with.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported; such small matrices gain nothing by more

import numpy as np

from trialrun.search.base import Algorithm
from trialrun.search.variants import Variants
from trialrun.space import Space
from trialrun_hookspecs import parse_request

__all__ = ["ALGORITHMS", "FUNCTIONS", "main", "measure"]

ALGORITHMS = ("random", "hyperopt", "optuna", "bayesopt")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function to minimise, its space in the form of a job, and its lowest value."""

    space: Sequence[Json]
    loss: Callable[[Mapping[str, Any]], float]
    optimum: float = 0.0


def branin(point: Mapping[str, Any]) -> float:
    x, y = point["x"], point["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(point: Mapping[str, Any]) -> float:
    x = np.array([point[f"x{i}"] for i in range(6)])
    return -float(_HEIGHTS @ np.exp(-(_WIDTHS * (x - _CENTRES) ** 2).sum(axis=1)))


_OPTIMIZERS = {"sgd": (-1.5, 0.3), "momentum": (-2.0, 0.1), "adam": (-3.0, 0.0), "rmsprop": (-3.5, 0.15)}


def mixed(point: Mapping[str, Any]) -> float:
    best, penalty = _OPTIMIZERS[point["optimizer"]]
    rate = 0.5 * (math.log10(point["lr"]) - best) ** 2
    return float(rate + 4 * (point["dropout"] - 0.3) ** 2 + 0.02 * (point["layers"] - 7) ** 2 + penalty)


def _uniform(name: str, low: float, high: float) -> Json:
    return {"name": name, "type": "uniform", "min": low, "max": high}


FUNCTIONS = {
    "branin": Function(space=[_uniform("x", -5, 10), _uniform("y", 0, 15)], loss=branin, optimum=0.39788735773),
    "hartmann6": Function(space=[_uniform(f"x{i}", 0, 1) for i in range(6)], loss=hartmann6, optimum=-3.32236801142),
    "mixed": Function(
        space=[
            {"name": "lr", "type": "loguniform", "min": 1e-6, "max": 1, "base": 10},
            _uniform("dropout", 0, 1),
            {"name": "layers", "type": "randint", "min": 1, "max": 17},
            {"name": "optimizer", "type": "choice", "options": list(_OPTIMIZERS)},
        ],
        loss=mixed,
    ),
}

_DIGITS: Sequence[Json] = [
    {"name": "learning_rate", "type": "loguniform", "min": 0.0005, "max": 3.0, "base": 10},
    {"name": "hidden", "type": "lograndint", "min": 4, "max": 65, "base": 2},
    {"name": "alpha", "type": "loguniform", "min": 1e-6, "max": 1.0, "base": 10},
    {"name": "batch_size", "type": "choice", "options": [16, 32, 64, 128]},
    {"name": "activation", "type": "choice", "options": ["relu", "tanh", "logistic"]},
]


def digits(folder: Path, epochs: int = 6) -> Function:
    """Return the networks of the reference plugin as a function; a network that diverges misreads every digit."""
    from trialrun_reference.digits import generate_digit_rows as rows
    from trialrun_reference.sklearn_digits import tune

    dataset: dict[str, list[Json]] = {}
    for number, row in enumerate(rows()):
        image = folder / f"{number}.png"
        image.write_bytes(row["files"]["image"])
        dataset.setdefault(row["category"], []).append({**row, "files": {"image": str(image)}})
    numbers = itertools.count()

    def loss(point: Mapping[str, Any]) -> float:
        nothing = lambda *args, **kwargs: None
        run = SimpleNamespace(
            checkpoint_output=folder / f"trial{next(numbers)}",
            seed=0,
            **dict.fromkeys(("log_metric", "log_visualization", "log_message", "report", "set_progress"), nothing),
        )
        try:
            return 1 - float(tune({**point, "epochs": epochs}, run, dataset, None)["accuracy"])
        except ArithmeticError:
            return 1.0

    return Function(space=_DIGITS, loss=loss)


def _space(function: Function) -> Space:
    tuning = {"metric": "loss", "mode": "min"}
    params = {"name": "q", "dataset": 1, "is_tune": True, "hyperparameters": function.space, "tune_config": tuning}
    return Space(parse_request({"action": "train", "params": params}).params.hyperparameters or ())


class RayPeer:
    """Ray's BayesOptSearch in another Python; `ask` gives hyperparameters, not a point."""

    def __init__(self, python: str, function: Function, seed: int) -> None:
        space = {}
        for d in function.space:
            kind = str(d["type"])
            space[d["name"]] = {"type": kind, "args": [d["options"]] if "options" in d else [d["min"], d["max"]]}
        script = Path(__file__).parent / "in_another_venv" / "ray_bayesopt.py"
        self._process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._say({"seed": seed, "space": space})

    def _say(self, line: Any) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()

    def ask(self) -> Json | None:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        answer: Json | None = json.loads(line or '{"error": "no answer"}')
        if answer and "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def tell(self, value: float) -> None:
        self._say(value)

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()


def _with_ray(python: str, function: Function, *, seed: int, trials: int) -> float:
    peer = RayPeer(python, function, seed)
    try:
        best = math.inf
        for _ in range(trials):
            point = peer.ask()
            if point is None:
                break
            value = function.loss(point)
            best = min(best, value)
            peer.tell(value)
        return best - function.optimum
    finally:
        peer.close()


def _algorithm(name: str, space: Space, *, seed: int, trials: int) -> Algorithm:
    if name == "random":
        return Variants(space, samples=trials, seed=seed)
    made: Algorithm = importlib.import_module(f"trialrun.search.{name}").make(
        space.build_primitives(), mode="min", seed=seed, options={}
    )
    return made


def gap(name: str, function: Function, *, seed: int, trials: int, at_once: int = 1) -> float:
    """Return the distance between the optimum and the best of `trials`, with `at_once` of them running."""
    space = _space(function)
    algorithm = _algorithm(name, space, seed=seed, trials=trials)
    running: list[tuple[str, Any]] = []
    best = math.inf
    for number in range(trials + at_once):
        if len(running) == at_once or number >= trials:
            if not running:
                break
            trial_id, point = running.pop(0)
            value = function.loss(space.decode(point))
            best = min(best, value)
            algorithm.tell(trial_id, value)
        if number < trials:
            running.append((str(number), algorithm.ask(str(number))))
    return best - function.optimum


def measure(
    functions: Mapping[str, Function], names: Sequence[str], *, seeds: int, trials: int, at_once: int, ray_python: str
) -> Iterator[tuple[str, str, list[float] | str]]:
    """Yield function, algorithm, and the gap of every seed, or the reason why there is none."""
    for title, function in functions.items():
        for name in names:
            yield title, name, [gap(name, function, seed=s, trials=trials, at_once=at_once) for s in range(seeds)]
        if ray_python:
            try:
                yield title, "ray", [_with_ray(ray_python, function, seed=s, trials=trials) for s in range(seeds)]
            except ValueError as error:
                yield title, "ray", str(error)


def _figures(results: Mapping[tuple[str, str], list[float] | str]) -> list[Json]:
    figures: list[Json] = []
    for (title, name), gaps in results.items():
        if isinstance(gaps, str):
            continue
        low, median, high = (round(float(q), 5) for q in np.quantile(gaps, [0.25, 0.5, 0.75]))
        figures.append(
            {"figure": f"{title}: {name}", "value": median, "unit": "gap", "aim": "", "quartiles": [low, high]}
        )
    for title, name in results:
        ours, theirs = results.get((title, "bayesopt")), results[title, name]
        if name in ("random", "ray") and not isinstance(ours, str | None) and not isinstance(theirs, str):
            ratio = float(np.median(ours) / max(float(np.median(theirs)), 1e-12))
            figures.append(
                {
                    "figure": f"{title}: bayesopt / {name}",
                    "value": round(ratio, 4),
                    "unit": "times",
                    "aim": "≤ 1" if name == "ray" or title == "digits" else "≤ 0.5",
                }
            )
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=1, help="trials that run at the same time")
    parser.add_argument("--digits", action="store_true", help="the digits plugin too")
    parser.add_argument("--only", nargs="+", default=[*FUNCTIONS, "digits"], help="these functions")
    parser.add_argument("--algorithms", nargs="+", default=[n for n in ALGORITHMS if _installed(n)])
    parser.add_argument("--ray-python", default="", help="a Python with ray[tune] and bayesian-optimization==1.5.1")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        functions = FUNCTIONS | ({"digits": digits(Path(folder))} if args.digits else {})
        chosen = {title: function for title, function in functions.items() if title in args.only}
        results = {}
        for title, name, gaps in measure(
            chosen,
            args.algorithms,
            seeds=args.seeds,
            trials=args.trials,
            at_once=args.at_once,
            ray_python=args.ray_python,
        ):
            results[title, name] = gaps
            if not args.json:
                said = (
                    gaps
                    if isinstance(gaps, str)
                    else "  ".join(f"{q:.4f}" for q in np.quantile(gaps, [0.25, 0.5, 0.75]))
                )
                print(f"{title:10} {name:9} {said}", flush=True)
    if args.json:
        print(json.dumps(_figures(results), ensure_ascii=False))
    return 0


def _installed(name: str) -> bool:
    return name == "random" or importlib.util.find_spec({"bayesopt": "bayes_opt"}.get(name, name)) is not None


if __name__ == "__main__":
    sys.exit(main())
