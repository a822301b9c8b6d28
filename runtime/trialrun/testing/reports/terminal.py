"""The report on a terminal: the verdict, the families, the problems, the ledger."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trialrun.testing.reports.text import (
    Json,
    clean_text,
    count_applicable,
    count_by_family,
    count_unselected,
    format_location,
    format_subtitle,
    group_problems,
    is_red,
)
from trialrun.testing.verdicts import Verdict

__all__ = ["print_report", "render_check", "render_ledger", "render_overview"]

_HEADLINES = {"conformant": "bold white on green", "partial": "bold black on yellow"}
_RED = "bold white on red"
_COLUMNS = {
    "pass": ("passed", "green"),
    "fail": ("failed", "bold red"),
    "vacuous": ("vacuous", "yellow"),
    "error": ("error", "bold magenta"),
    "waived": ("waived", "cyan"),
    "n/a": ("n/a", ""),
    "not run": ("not run", "yellow"),
    "unasked": ("not selected", "dim"),
}
_WHAT_IT_MEANS = {
    "vacuous": "nothing was observed, so nothing is proved",
    "not run": "did not run",
    "error": "the harness itself failed, which says nothing about the plugin",
}


def print_report(report: Json, console: Console, *, verbose: bool = False, details: bool = True) -> None:
    """Print the report. `verbose` lists passed checks too; without `details` each problem takes one line."""
    console.print(render_overview(report))
    problems = group_problems(report)
    if problems and not details:
        console.print()
    for group in problems:
        if details:
            console.print()
            console.print(render_check(group[0]) if len(group) == 1 else _render_group(group))
        else:
            console.print(_render_brief(group[0], names=[check["id"] for check in group]))
    if verbose:
        console.print()
        console.print(_render_all_checks(report))
    _print_quiet_checks(report, console)
    console.print()
    console.print(render_ledger(report))
    for note in report["notes"]:
        console.print(Text(f"note: {clean_text(note)}", style="yellow"))


def render_overview(report: Json) -> RenderableType:
    """Return the verdict, and the counts of verdicts per family."""
    headline = report["result"]["headline"]
    title = Text.assemble(
        (f" {headline.upper()} ", _HEADLINES.get(headline, _RED)),
        "  ",
        (clean_text(report["plugin"]["name"]), "bold"),
        f"  {_format_counts(report)}",
    )
    return Group(title, Text(format_subtitle(report), style="dim"), Text(), _render_families(report))


def _format_counts(report: Json) -> str:
    ledger = report["ledger"]
    passed = f"{ledger['passed']} of {count_applicable(report)} checks passed"
    more = [
        f"{ledger[key]} {word}"
        for key, word in (("failed", "failed"), ("vacuous", "vacuous"), ("errors", "in error"), ("waived", "waived"))
        if ledger[key]
    ]
    return ", ".join([passed, *more])


def _render_families(report: Json) -> Table:
    counts = count_by_family(report)
    shown = [name for name in _COLUMNS if any(count[name] for count in counts.values())]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("family")
    for name in shown:
        table.add_column(_COLUMNS[name][0], justify="right")
    for family, count in counts.items():
        cells = [
            Text(str(count[name]) if count[name] else "·", _COLUMNS[name][1] if count[name] else "dim")
            for name in shown
        ]
        table.add_row(family, *cells)
    return table


def render_check(check: Json) -> RenderableType:
    """Return the failure of one check, why it matters, and what to do."""
    word, style = _COLUMNS[check["verdict"]]
    title = Text.assemble((check["id"], style), "  ", (check["title"], "bold"))
    if check["verdict"] != Verdict.FAIL:
        title.append(f"  ({word}: {_WHAT_IT_MEANS[check['verdict']]})", style=style)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _iter_detail_rows(check):
        table.add_row(name, Text(text))
    return Group(title, Padding(table, (0, 0, 0, 2), expand=False))


def _render_group(group: Sequence[Json]) -> RenderableType:
    """Render checks that came to no verdict for the same reason."""
    word, style = _COLUMNS[group[0]["verdict"]]
    names = " ".join(check["id"] for check in group)
    title = Text.assemble((f"{len(group)} checks {word}", style), f"  ({_WHAT_IT_MEANS[group[0]['verdict']]})")
    message = clean_text(group[0]["message"])
    return Group(title, Padding(Text(f"{message}\n{names}"), (0, 0, 0, 2), expand=False))


def _render_brief(check: Json, names: Sequence[str] = ()) -> Text:
    word, style = _COLUMNS[check["verdict"]]
    message = clean_text(check["message"] or check["title"]).partition("\n")[0]
    return Text.assemble((" ".join(names or [check["id"]]), style), f"  {word}: {message}")


def _iter_detail_rows(check: Json) -> Iterator[tuple[str, str]]:
    if check["message"]:
        yield "what", clean_text(check["message"])
    if check["where"]:
        yield "where", _shorten_path(format_location(check))
    if check["verdict"] == Verdict.ERROR:
        return
    if check["why"]:
        yield "why", clean_text(check["why"])
    if check["fix"]:
        yield "fix", clean_text(check["fix"])
    if check["repro"]:
        yield "repro", f"python {shlex.quote(_shorten_path(clean_text(check['repro'])))}"
    if check["signature"]:
        yield "signature", clean_text(check["signature"])
    yield "more", f"trialrun explain {check['id']}"


def _shorten_path(path: str) -> str:
    """Return the path relative to the current folder, if that is shorter."""
    here = os.path.relpath(path) if Path(path).is_absolute() else path
    return min(path, here, key=len)


def _render_all_checks(report: Json) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in report["checks"]:
        asked = check["selected"] or check["verdict"] != Verdict.NOT_RUN
        word, style = _COLUMNS[check["verdict"] if asked else "unasked"]
        seconds = f"{check['seconds']:.2f} s" if check["verdict"] in ("pass", "fail") else ""
        table.add_row(Text(check["id"]), Text(word, style), Text(seconds, "dim"), Text(check["title"]))
    return table


def _print_quiet_checks(report: Json, console: Console) -> None:
    """Print the checks without a result that do not make the report red, one line per reason."""
    quiet = [check for check in report["checks"] if check["verdict"] not in ("pass", "fail", "error")]
    lines = [check for check in quiet if not is_red(check) and (check["selected"] or check["verdict"] != "not run")]
    if lines:
        console.print()
    reasons: dict[tuple[str, str], list[Json]] = {}
    for check in lines:
        waiver = check["evidence"].get("waiver") if check["verdict"] == Verdict.WAIVED else None
        reasons.setdefault((check["verdict"], waiver or check["message"]), []).append(check)
    for (_, message), group in reasons.items():
        console.print(_render_brief({**group[0], "message": message}, [check["id"] for check in group]))


def render_ledger(report: Json) -> Text:
    """Return the sum that accounts for every check of the contract."""
    ledger = report["ledger"]
    ran = f"{ledger['ran']} ran ({ledger['passed']} passed, {ledger['failed']} failed)"
    rest = (("not applicable", ledger["not_applicable"]), ("waived", ledger["waived"]), ("not run", ledger["not_run"]))
    line = " + ".join([ran, *(f"{count} {word}" for word, count in rest)])
    reasons = [
        f"{count} {word}"
        for word, count in (
            ("vacuous", ledger["vacuous"]),
            ("in error", ledger["errors"]),
            ("not selected", count_unselected(report["checks"])),
        )
        if count
    ]
    because = f" ({', '.join(reasons)})" if reasons else ""
    return Text(f"ledger: {line}{because} = {ledger['total']} checks of contract {report['contract']}")
