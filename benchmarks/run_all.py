"""Run every benchmark beside this file and print one table, and JSON with --json.

A benchmark is a script that takes `--json` and then prints one JSON array on stdout, of figures such as
`{"figure": "what was measured", "value": 1.2, "unit": "times", "aim": "≤ 3"}`. Figures are ratios within one run where
they can be, so that they mean the same on every machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["main", "meets_aim", "scripts"]

HERE = Path(__file__).resolve().parent
LIMIT_S = 900

Figure = Mapping[str, Any]


def scripts(folder: Path = HERE) -> list[Path]:
    """Return every script of the folder that takes --json, except this one."""
    return [
        file
        for file in sorted(folder.glob("*.py"))
        if file.name != "run_all.py" and "--json" in file.read_text("utf-8")
    ]


def meets_aim(figure: Figure) -> bool | None:
    """Return True if the figure meets its aim, and None if it has no aim."""
    sign, _, bound = str(figure.get("aim") or "").partition(" ")
    if not bound:
        return None
    value = float(figure["value"])
    return value <= float(bound) if sign == "≤" else value >= float(bound)


def _run(script: Path) -> dict[str, Any]:
    """Run a script; return its figures, or its error, so that the others still run."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, str(script), "--json"], capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
        outcome: dict[str, Any] = {"figures": json.loads(done.stdout)}
    except subprocess.CalledProcessError as failed:
        outcome = {"figures": [], "error": failed.stderr[-2000:] or f"exit code {failed.returncode}"}
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as failed:
        outcome = {"figures": [], "error": str(failed)}
    return {"benchmark": script.stem, "seconds": round(time.perf_counter() - started, 1), **outcome}


def _table(outcomes: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("benchmark", "figure", "value", "unit", "aim", "met")
    for outcome in outcomes:
        for figure in outcome["figures"]:
            verdict = {True: "yes", False: "NO", None: ""}[meets_aim(figure)]
            value = f"{float(figure['value']):.3g}"
            row = (
                outcome["benchmark"],
                figure["figure"],
                value,
                figure.get("unit", ""),
                figure.get("aim") or "",
                verdict,
            )
            table.add_row(*map(str, row))
        if "error" in outcome:
            table.add_row(outcome["benchmark"], outcome["error"], "", "", "", "NO")
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Print all figures; return 1 if a benchmark did not run. A missed aim is shown and does not fail."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON alone on stdout, the table on stderr")
    parser.add_argument("only", nargs="*", help="names of benchmarks; default: all")
    args = parser.parse_args(argv)
    chosen = [script for script in scripts() if not args.only or script.stem in args.only]
    outcomes = []
    for script in chosen:
        print(f"running {script.stem} …", file=sys.stderr)
        outcomes.append(_run(script))
    Console(stderr=args.json, width=140).print(_table(outcomes))
    machine = {"python": platform.python_version(), "platform": platform.platform(), "benchmarks": outcomes}
    print(json.dumps(machine, ensure_ascii=False, indent=None if args.json else 1))
    return 1 if any("error" in outcome for outcome in outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
