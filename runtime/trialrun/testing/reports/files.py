"""Report files: which kinds there are, and how they are asked for."""

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
"""Name of a kind -> how its file is made from the report's JSON."""


def parse_targets(asked: Iterable[str], where: str = "--report") -> dict[str, Path]:
    """`["junit=a.xml,html=b.html"]` -> kind -> path. Raises UsageError with every part that is wrong."""
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
    """Write the files, with their folders. A badge whose name ends in .svg is an image. Raises UsageError."""
    for kind, path in targets.items():
        make = badge.render_svg if kind == "badge" and path.suffix == ".svg" else KINDS[kind]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(report), encoding="utf-8")
        except OSError as error:
            fix = "Name a file that can be written to."
            raise UsageError("cannot be written", where=f"--report {kind}", got=str(error), fix=fix) from None
    return list(targets.values())
