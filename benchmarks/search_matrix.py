"""Check what each search algorithm draws from each distribution: only its support, and all of a small support.

Prints a Markdown table for all installed algorithms, or for those named: `search_matrix.py optunasearch`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from trialrun.compat import ALGORITHMS, find_incompatibilities
from trialrun.search import create_algorithm
from trialrun.space import Space
from trialrun_hookspecs import DISTRIBUTIONS, Params, parse_request

FIELDS: dict[str, tuple[dict[str, Any], int]] = {  # and how many values there are, where they are few
    "uniform": ({"min": 0.5, "max": 2}, 0),
    "quniform": ({"min": 0, "max": 1, "q": 0.25}, 5),
    "loguniform": ({"min": 1e-4, "max": 1, "base": 10}, 0),
    "qloguniform": ({"min": 0.1, "max": 0.4, "q": 0.1, "base": 10}, 4),
    "randn": ({"mean": 1, "sd": 2}, 0),
    "qrandn": ({"mean": 1, "sd": 2, "q": 0.5}, 0),
    "randint": ({"min": 0, "max": 4}, 4),
    "qrandint": ({"min": 0, "max": 8, "q": 2}, 5),
    "lograndint": ({"min": 1, "max": 5, "base": 2}, 4),
    "qlograndint": ({"min": 2, "max": 8, "q": 2, "base": 2}, 4),
    "choice": ({"options": ["a", 1, True, None, {"k": [1]}]}, 5),
    "grid_search": ({"options": [1, 2, 3]}, 3),
}
DRAWS = {"bayesoptsearch": 40, "axsearch": 30}
USUAL = 200
WRONG = " **wrong**"


def params(kind: str, algorithm: str, samples: int) -> Params:
    space = [{"name": "x", "type": kind, **FIELDS[kind][0]}]
    config = {"metric": "m", "mode": "min", "num_samples": samples, "search_alg": algorithm}
    made = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    return parse_request({"action": "train", "params": made}).params


def cell(kind: str, algorithm: str) -> str:
    """Return a cell such as `200 in, 5/5`: draws inside the support, and values seen. Every tenth trial fails."""
    draws = DRAWS.get(algorithm, USUAL)
    given = params(kind, algorithm, draws)
    if list(find_incompatibilities(given)):
        return "refused"
    made, space = create_algorithm(given, seed=1, extensions={}), Space(given.hyperparameters or ())
    values = []
    for index in range(draws):
        point = made.ask(f"t{index}")
        if point is None:
            break
        values.append(space.decode(point)["x"])
        if index % 2:
            for earlier in (index - 1, index):
                made.tell(f"t{earlier}", None if earlier % 10 == 0 else float(earlier * 7 % 11))
    inside = sum(space.contains("x", value) for value in values)
    distinct = len({json.dumps(value) for value in values})
    seen = f"{distinct}/{FIELDS[kind][1]}" if FIELDS[kind][1] else f"{distinct} values"
    sound = inside == len(values) and distinct >= FIELDS[kind][1]
    return f"{inside} of {len(values)} in, {seen}{'' if sound else WRONG}"


def main(arguments: Sequence[str]) -> None:
    """Print the table, or with --json the number of wrong cells."""
    assert set(FIELDS) == set(DISTRIBUTIONS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("algorithms", nargs="*")
    parser.add_argument("--json", action="store_true", help="print one JSON array of figures")
    given = parser.parse_args(arguments)
    installed = [n for n, facts in ALGORITHMS.items() if not facts.extra or importlib.util.find_spec(facts.extra)]
    names = given.algorithms or installed
    lines = [f"| distribution | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, (fields, _) in FIELDS.items():
            cells = " | ".join(cell(kind, name) for name in names)
            lines.append(f"| `{kind}` `{json.dumps(fields)}` | {cells} |")
    if given.json:
        wrong = sum(line.count(WRONG) for line in lines)
        figure = f"wrong cells of {len(FIELDS) * len(names)}: distributions x {', '.join(names)}"
        print(json.dumps([{"figure": figure, "value": wrong, "unit": "cells", "aim": "≤ 0"}]))
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
