"""Measure the cost of an installed trialrun for other projects' pytest runs: an empty test with and without it.

The two commands alternate in random order, so that other load on the machine affects both alike. The figure is the
ratio of the medians of processor time, which depends less on other load than wall time does. `-p no:trialrun` keeps
pytest from importing the plugin.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["COMMANDS", "main", "measure"]

_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
COMMANDS: Mapping[str, Sequence[str]] = {"with": _PYTEST, "without": (*_PYTEST, "-p", "no:trialrun")}


def measure(rounds: int, *, alone: bool) -> dict[str, float]:
    """Return the median processor seconds of each command. `alone`: no other installed plugin is loaded."""
    environment = {**os.environ, **({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if alone else {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled already
    commands = dict(COMMANDS)
    if alone:  # against a plugin that does nothing: by `-p` pytest looks through every installed package
        commands = {"with": (*_PYTEST, "-p", "_trialrun_pytestplugin"), "without": (*_PYTEST, "-p", "idle_plugin")}
    times: dict[str, list[float]] = {name: [] for name in commands}
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = str(Path(folder, "compiled"))
        environment["PYTHONPATH"] = folder
        Path(folder, "idle_plugin.py").write_text("import pytest\n", "utf-8")
        Path(folder, "test_empty.py").write_text("def test_empty():\n    pass\n", "utf-8")
        for number in range(rounds + 1):
            for name in draw.sample(sorted(commands), k=len(commands)):
                started = _spent()
                subprocess.run(commands[name], cwd=folder, env=environment, check=True, capture_output=True)
                if number:  # the first round only warms the caches
                    times[name].append(_spent() - started)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _spent() -> float:
    """Return the processor seconds of all child processes so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _figures(rounds: int) -> list[dict[str, Any]]:
    everything, bare = measure(rounds, alone=False), measure(rounds, alone=True)
    return [
        {
            "figure": "pytest of one empty test, without trialrun",
            "value": round(everything["without"] * 1000, 1),
            "unit": "ms",
            "aim": "",
        },
        {
            "figure": "with trialrun / without",
            "value": round(everything["with"] / everything["without"], 4),
            "unit": "times",
            "aim": "≤ 1.02",
        },
        {
            "figure": "with trialrun / without, no other plugin loaded",
            "value": round(bare["with"] / bare["without"], 4),
            "unit": "times",
            "aim": "≤ 1.02",
        },
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=31)
    args = parser.parse_args(argv)
    figures = _figures(args.rounds)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        for figure in figures:
            print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['aim']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
