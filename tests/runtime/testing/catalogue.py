"""The catalogue of broken and clean plugins, and the matrix of checks that each of them trips.

python tests/runtime/testing/catalogue.py [--ray] [--select ID,…] [-n N]     print the matrix, exit 1 on a gap
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun.testing.harness import Session
from trialrun.testing.registry import Check, all_checks
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.verdicts import Report, Verdict
from trialrun_hookspecs.errors import UsageError

__all__ = ["MUTANTS_DIR", "Matrix", "Row", "build_row", "find_mutants", "list_clean_plugins", "run_matrix"]

MUTANTS_DIR = Path(__file__).resolve().parents[2] / "broken_plugins" / "tr"
_NAME = re.compile(r"(TR[0-9]{3})_(\w+?)(?:\.py)?")
_REFERENCE = ("pure", "sklearn_digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The checks that one plugin trips. `check` is the one that it must trip, None for a clean plugin.

    `unsure` holds the checks that ended in an error of the harness.
    """

    plugin: str
    check: str | None
    tripped: tuple[str, ...]
    unsure: tuple[str, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """The gaps that this row shows."""
        strangers = [name for name in self.tripped if name != self.check]
        found = [f"{self.plugin} trips {name} too: {self.messages.get(name, '')}" for name in strangers]
        if self.check is None:
            found = [f"{self.plugin} is clean, and trips {name}: {self.messages.get(name, '')}" for name in strangers]
        elif self.check not in self.tripped:
            found.append(f"{self.plugin} does not trip {self.check}")
        return found + [
            f"{self.plugin}: {name} ends in an error: {self.messages.get(name, '')}" for name in self.unsure
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Checks × plugins. `checks` holds the ids that were tested."""

    checks: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[str]:
        """Every gap: a check without a mutant, a mutant that trips another check, a clean plugin that trips any."""
        covered = {row.check for row in self.rows}
        gaps = [f"{name} has no broken plugin" for name in self.checks if name not in covered]
        return gaps + [problem for row in self.rows for problem in row.problems]

    def render_lines(self) -> Iterator[str]:
        """Yield the matrix as text, a row per plugin and a column per check: ■ tripped as expected, ✗ by mistake."""
        width = max((len(row.plugin) for row in self.rows), default=0)
        for place in range(2, 5):  # the digits of the ids, one below the other
            yield " " * (width + 2) + "".join(name[place] for name in self.checks)
        for row in self.rows:
            yield f"{row.plugin:<{width}}  " + "".join(_cell_symbol(row, name) for name in self.checks)


def _cell_symbol(row: Row, name: str) -> str:
    if name in row.unsure:
        return "?"
    if name in row.tripped:
        return "■" if name == row.check else "✗"
    return "·"


def find_mutants(folder: Path) -> dict[Path, str]:
    """Return the broken plugins of a folder -> the id of the check that each must trip."""
    found = {}
    for path in sorted(folder.iterdir()):
        name = _NAME.fullmatch(path.name)
        if name and (path.suffix == ".py" or path.is_dir()):
            found[path] = name[1]
    if not found:
        fix = "Name them after the check that they trip: TR101_raises_on_import.py."
        raise UsageError("there must be broken plugins", where=str(folder), got="none", fix=fix)
    return found


def list_clean_plugins(folder: Path) -> list[str | Path]:
    """Return the clean plugins that belong to a folder of broken ones, and the reference plugins."""
    beside = folder.parent.parent / "clean_plugins"
    paths = sorted(beside.iterdir()) if beside.is_dir() else []
    own = [path for path in paths if path.suffix == ".py" or (path.is_dir() and not path.name.startswith(("_", ".")))]
    return [*own, *_REFERENCE]


def run_matrix(
    folder: Path = MUTANTS_DIR,
    *,
    ray: bool = False,
    select: Iterable[str] = (),
    workers: int = 1,
    on_row: Callable[[Row], object] = lambda row: None,
) -> Matrix:
    """Run every check against every plugin. `ray` includes the checks that need Ray.

    `select` holds ids or prefixes of ids. It leaves out the broken plugins of other checks, and limits the checks of
    clean plugins; selected broken plugins still go through all checks.
    """
    checks = {name: check for name, check in all_checks().items() if ray or "ray" not in check.needs}
    wanted = tuple(select)
    tested = tuple(name for name in checks if not wanted or name.startswith(wanted))
    broken = {path: check for path, check in find_mutants(folder).items() if check in tested}
    plugins: list[tuple[str | Path, str | None]] = [
        *broken.items(),
        *((path, None) for path in list_clean_plugins(folder)),
    ]
    with SandboxPool() as sandboxes, ThreadPoolExecutor(max(1, workers)) as pool:

        def check_one(job: tuple[str | Path, str | None]) -> Row:
            row = _run_checks(job[0], job[1], checks, sandboxes, wanted if job[1] is None else ())
            on_row(row)
            return row

        return Matrix(checks=tested, rows=tuple(pool.map(check_one, plugins)))


def _run_checks(
    plugin: str | Path, check: str | None, checks: Mapping[str, Check], sandboxes: SandboxPool, select: Sequence[str]
) -> Row:
    with Session(plugin, profile="full", checks=checks, config=False, sandboxes=sandboxes, select=select) as session:
        for _ in session.outcomes():
            pass
        return build_row(session.report(), plugin, check)


def build_row(report: Report, plugin: str | Path, check: str | None) -> Row:
    """Return the row of a report."""
    outcomes = report.outcomes
    return Row(
        plugin=Path(plugin).stem,
        check=check,
        tripped=_ids_with_verdict(outcomes, Verdict.FAIL),
        unsure=_ids_with_verdict(outcomes, Verdict.ERROR),
        messages={outcome.id: outcome.message for outcome in outcomes if outcome.message},
    )


def _ids_with_verdict(outcomes: Sequence[Any], verdict: Verdict) -> tuple[str, ...]:
    return tuple(outcome.id for outcome in outcomes if outcome.verdict is verdict)


def main() -> int:
    """Print the matrix and its gaps; return 1 when there is a gap."""
    parser = argparse.ArgumentParser(description="Run every check against every broken and clean plugin.")
    parser.add_argument("--select", default="", metavar="ID,…", help="only these checks; TR2 selects all of its family")
    parser.add_argument("--ray", action="store_true", help="include the checks that need Ray")
    parser.add_argument("-n", dest="workers", type=int, default=1, metavar="N", help="plugins at once")
    options = parser.parse_args()
    select = [word for word in options.select.upper().split(",") if word]
    matrix = run_matrix(ray=options.ray, select=select, workers=options.workers)
    sys.stdout.write("\n".join([*matrix.render_lines(), *matrix.problems, ""]))
    return 1 if matrix.problems else 0


if __name__ == "__main__":
    sys.exit(main())
