"""Report files: their kinds, and the options that ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from trialrun.testing.reports import badge, html, json, junit, sarif
from trialrun.testing.reports.text import Json
from trialrun_hookspecs.errors import Problem, UsageError

__all__ = ["KINDS", "parse_targets", "write_reports"]

KINDS = {
    "json": json.render_report,
    "junit": junit.render_report,
    "sarif": sarif.render_report,
    "html": html.render_report,
    "badge": badge.render_endpoint,
}
"""Name of a kind -> function that renders the report's JSON."""


def parse_targets(asked: Iterable[str], where: str = "--report") -> dict[str, Path]:
    """Return kind -> path for `["junit=a.xml,html=b.html"]`. Raises UsageError with every invalid part."""
    targets: dict[str, Path] = {}
    problems = []
    for part in (part.strip() for text in asked for part in text.split(",") if part.strip()):
        kind, _, path = part.partition("=")
        if kind not in KINDS:
            problems.append(Problem(where=where, rule=f"must be one of {', '.join(KINDS)}", got=repr(kind)))
        elif not path:
            problems.append(Problem(where=where, rule="needs a path", got=repr(part), fix=f"Write {kind}=PATH."))
        else:
            targets[kind] = Path(path)
    if problems:
        raise UsageError(problems=problems)
    return targets


def write_reports(report: Json, targets: Mapping[str, Path]) -> list[Path]:
    """Write the files, with their folders, and return the paths. Raises UsageError when one cannot be written."""
    for kind, path in targets.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(KINDS[kind](report), encoding="utf-8")
        except OSError as error:
            fix = "Choose a path that can be written."
            raise UsageError("cannot be written", where=f"--report {kind}", got=str(error), fix=fix) from None
    return list(targets.values())
