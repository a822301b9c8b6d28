"""Compare the start of the command and the import with bare Python.

The commands take turns, so that other load on the machine affects all alike; the figure is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["COMMANDS", "main", "measure"]

PYTHON = sys.executable
BARE = "python -c pass"
COMMANDS: Mapping[str, tuple[Sequence[str], str]] = {
    BARE: ((PYTHON, "-c", "pass"), ""),
    'python -c "import trialrun"': ((PYTHON, "-c", "import trialrun"), "≤ 3"),
    'python -c "import trialrun_hookspecs"': ((PYTHON, "-c", "import trialrun_hookspecs"), "≤ 3"),
    "trialrun --help": ((str(Path(PYTHON).with_name("trialrun")), "--help"), "≤ 10"),
}


def measure(rounds: int) -> dict[str, float]:
    """Return the median seconds of each command."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, (command, _) in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if number:  # the first round only warms the caches
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _figures(medians: Mapping[str, float]) -> list[dict[str, Any]]:
    bare = {"figure": BARE, "value": round(medians[BARE] * 1000, 1), "unit": "ms", "aim": ""}
    ratios = [
        {
            "figure": f"{name} / {BARE}",
            "value": round(seconds / medians[BARE], 2),
            "unit": "times",
            "aim": COMMANDS[name][1],
        }
        for name, seconds in medians.items()
        if name != BARE
    ]
    return [bare, *ratios]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    figures = _figures(measure(args.rounds))
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        for figure in figures:
            print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['aim']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
