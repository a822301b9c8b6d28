"""Ray's own BayesOptSearch behind a pipe, for `search_quality.py`; runs where bayesian-optimization 1.5.1 is installed.

The first line on stdin is `{"seed": 0, "space": {name: {"type": "uniform", "args": [0, 1]}}}`, each further line the
value of the point before. Each line on stdout is a point, null when the search has ended, or
`{"error": ...}`.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from ray import tune
from ray.tune.search.bayesopt import BayesOptSearch


def _point(searcher: BayesOptSearch, trial_id: str) -> Any:
    """The next point; None when the searcher has converged. None from the searcher itself means: ask again."""
    point: Any = None
    while point is None:
        point = searcher.suggest(trial_id)
    return None if point == BayesOptSearch.FINISHED else point


def main() -> None:
    warnings.simplefilter("ignore")
    job = json.loads(sys.stdin.readline())
    pipe, sys.stdout = sys.stdout, sys.stderr  # the library may print

    def say(answer: Any) -> None:
        pipe.write(json.dumps(answer, default=float) + "\n")
        pipe.flush()

    space = {name: getattr(tune, d["type"])(*d["args"]) for name, d in job["space"].items()}
    try:
        searcher = BayesOptSearch(space, metric="loss", mode="min", random_state=job["seed"])
        say(_point(searcher, "0"))
        for number, line in enumerate(sys.stdin):
            searcher.on_trial_complete(str(number), {"loss": float(line)})
            say(_point(searcher, str(number + 1)))
    except (ValueError, OverflowError) as error:
        say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
