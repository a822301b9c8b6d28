"""The self-test: every check against every broken plugin that is there for it, and against the clean ones."""

from __future__ import annotations

import re
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

__all__ = ["Matrix", "Row", "find_mutants", "find_plugins_dir", "list_clean_plugins", "run_selftest"]

_NAME = re.compile(r"(TR[0-9]{3})_(\w+?)(?:\.py)?")
_REFERENCE = ("pure", "sklearn_digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one plugin tripped. `check` is the one that it is there for, None for a clean plugin.

    `unsure` are checks of the harness that ended in an error.
    """

    plugin: str
    check: str | None
    tripped: tuple[str, ...]
    unsure: tuple[str, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """What is wrong with the catalogue, by this row."""
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
    """Checks × plugins. `checks` are the ids that were tested."""

    checks: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[str]:
        """Every gap: a check without a killer, a killer that trips a stranger, a clean plugin that trips anything."""
        killed = {row.check for row in self.rows}
        gaps = [f"{name} has no broken plugin" for name in self.checks if name not in killed]
        return gaps + [problem for row in self.rows for problem in row.problems]

    def render_lines(self) -> Iterator[str]:
        """The matrix as text: a row per plugin, a column per check; ■ tripped as it should be, ✗ by mistake."""
        width = max((len(row.plugin) for row in self.rows), default=0)
        for place in range(2, 5):  # the digits of the ids, one below the other
            yield " " * (width + 2) + "".join(name[place] for name in self.checks)
        for row in self.rows:
            yield f"{row.plugin:<{width}}  " + "".join(_cell_symbol(row, name) for name in self.checks)

    def to_json(self) -> dict[str, Any]:
        rows = [{"plugin": row.plugin, "check": row.check, "tripped": list(row.tripped)} for row in self.rows]
        return {"checks": list(self.checks), "rows": rows, "problems": self.problems}


def _cell_symbol(row: Row, name: str) -> str:
    if name in row.unsure:
        return "?"
    if name in row.tripped:
        return "■" if name == row.check else "✗"
    return "·"


def find_plugins_dir() -> Path:
    """The folder of the broken plugins, in a checkout. Raises UsageError elsewhere: they are not installed."""
    folder = Path(__file__).resolve().parents[3] / "tests" / "broken_plugins" / "tr"
    if not folder.is_dir():
        fix = "Run it from a checkout of trialrun, or name a folder: --plugins DIR."
        raise UsageError("there must be broken plugins", where="selftest", got=f"no {folder}", fix=fix)
    return folder


def find_mutants(folder: Path) -> dict[Path, str]:
    """The broken plugins of a folder -> the id of the check that each must trip."""
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
    """The clean plugins that belong to a folder of broken ones, and the reference plugins."""
    beside = folder.parent.parent / "clean_plugins"
    paths = sorted(beside.iterdir()) if beside.is_dir() else []
    own = [path for path in paths if path.suffix == ".py" or (path.is_dir() and not path.name.startswith(("_", ".")))]
    return [*own, *_REFERENCE]


def run_selftest(
    folder: Path | None = None,
    *,
    ray: bool = False,
    select: Iterable[str] = (),
    workers: int = 1,
    on_row: Callable[[Row], object] = lambda row: None,
) -> Matrix:
    """Run every check against every plugin. `ray`: those that need Ray too.

    With `select`, ids or how they begin, broken plugins of other checks are left out; those that are in are put
    through all checks all the same, and clean ones through these.
    """
    folder = find_plugins_dir() if folder is None else folder
    checks = {name: found for name, found in all_checks().items() if ray or "ray" not in found.needs}
    wanted = tuple(select)
    tested = tuple(name for name in checks if not wanted or name.startswith(wanted))
    broken = {path: check for path, check in find_mutants(folder).items() if check in tested}
    plugins: list[tuple[str | Path, str | None]] = [
        *broken.items(),
        *((path, None) for path in list_clean_plugins(folder)),
    ]
    with SandboxPool() as host, ThreadPoolExecutor(max(1, workers)) as pool:

        def check_one(job: tuple[str | Path, str | None]) -> Row:
            row = _run_checks(job[0], job[1], checks, host, wanted if job[1] is None else ())
            on_row(row)
            return row

        return Matrix(checks=tested, rows=tuple(pool.map(check_one, plugins)))


def _run_checks(
    plugin: str | Path, check: str | None, checks: Mapping[str, Check], host: SandboxPool, select: Sequence[str]
) -> Row:
    with Session(plugin, profile="full", checks=checks, config=False, host=host, select=select) as session:
        for _ in session.outcomes():
            pass
        return build_row(session.report(), plugin, check)


def build_row(report: Report, plugin: str | Path, check: str | None) -> Row:
    """What a report says about the checks."""
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
