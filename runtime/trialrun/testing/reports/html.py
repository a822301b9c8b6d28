"""The report as a single HTML page without network access: verdict, failures, recorded trials and curves, checks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from trialrun.recordings.plots.drawn import MAX_COLORS, build_charts, choose_color, draw_chart
from trialrun.recordings.plots.files import render_svg
from trialrun.testing.reports.badge import format_message
from trialrun.testing.reports.text import (
    Json,
    clean_text,
    count_by_family,
    count_unselected,
    format_location,
    format_subtitle,
    group_problems,
)
from trialrun.testing.verdicts import Verdict

__all__ = ["render_report"]

_MOST_ROWS = 200
# The page runs no script and loads nothing, even if a plugin's text contains HTML.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_COLUMNS = ("pass", "fail", "vacuous", "error", "waived", "n/a", "not run", "unasked")
# colours of the charts as variables of page.css, which has a light and a dark value for each
_PALETTE = {
    "text": "var(--ink)",
    "muted": "var(--soft)",
    "line": "var(--line)",
    "strong": "var(--line)",
    "surface": "var(--card)",
    "best": "var(--c0)",
    "other": "var(--other)",
    **{f"c{number}": f"var(--c{number})" for number in range(MAX_COLORS)},
}
_WORDS = {"pass": "passed", "fail": "failed", "unasked": "not selected"}


def render_report(report: Json) -> str:
    """Return the page. All text is escaped."""
    style = files("trialrun.testing.reports").joinpath("page.css").read_text("utf-8")
    name = _escape_text(report["plugin"]["name"])
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_escape_text(format_message(report))}: {name}</title><style>{style}</style></head>\n<body>",
            *_render_header(report, name),
            *_render_failures(report),
            *_render_recording(report),
            *_render_checks(report),
            *_render_footer(report),
            "</body></html>\n",
        ]
    )


def _escape_text(text: object) -> str:
    return html.escape(clean_text(text))


def _css_class(verdict: str) -> str:
    return verdict.replace(" ", "-").replace("/", "-")


def _render_header(report: Json, name: str) -> Iterator[str]:
    headline = report["result"]["headline"]
    pill = f'<span class="pill {_css_class(headline)}">{_escape_text(format_message(report))}</span>'
    yield f"<header><p>{pill}</p><h1>{name}</h1>"
    yield f'<p class="soft">{_escape_text(format_subtitle(report))}</p></header>\n<h2>Families</h2>'
    counts = count_by_family(report)
    shown = [verdict for verdict in _COLUMNS if any(count[verdict] for count in counts.values())]
    head = ["family", *(_WORDS.get(verdict, verdict) for verdict in shown)]
    rows = [
        [family, *(_render_count(verdict, count[verdict]) for verdict in shown)] for family, count in counts.items()
    ]
    yield _render_table(head, rows, numbers=range(1, len(head)))


def _render_count(verdict: str, count: int) -> str:
    return f'<span class="{_css_class(verdict)}">{count}</span>' if count else '<span class="soft">·</span>'


def _render_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), best: int | None = None
) -> str:
    """Render a table. `head` is text; cells are HTML; `numbers` lists the right-aligned columns."""
    right = set(numbers)

    def render_cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="n">{cell}</{tag}>' if column in right else f"<{tag}>{cell}</{tag}>"
            for column, cell in enumerate(row)
        )

    body = "".join(
        f'<tr class="best">{render_cells("td", row)}</tr>' if number == best else f"<tr>{render_cells('td', row)}</tr>"
        for number, row in enumerate(rows)
    )
    titles = render_cells("th", [_escape_text(title) for title in head])
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _render_failures(report: Json) -> Iterator[str]:
    problems = group_problems(report)
    if problems:
        yield "<h2>What to fix</h2>\n"
    for group in problems:
        verdict, names = group[0]["verdict"], " ".join(check["id"] for check in group)
        yield f'<article class="{_css_class(verdict)}"><h3><span class="{_css_class(verdict)}">'
        if len(group) == 1:
            yield f"{names} {_escape_text(verdict)}</span> · {_escape_text(group[0]['title'])}</h3>"
            yield f"{_render_facts(group[0])}</article>\n"
        else:
            yield f"{len(group)} checks {_escape_text(verdict)}</span></h3><p>{_escape_text(group[0]['message'])}</p>"
            yield f'<p class="soft">{_escape_text(names)}</p></article>\n'


def _render_facts(check: Json) -> str:
    facts = {
        "what": _escape_text(check["message"]),
        "where": _render_code(format_location(check)),
        "why": _escape_text(check["why"]),
        "fix": _escape_text(check["fix"]),
        "repro": _render_code(f"python {check['repro']}" if check["repro"] else ""),
        "signature": _render_code(check["signature"]),
        "more": _render_code(f"trialrun explain {check['id']}"),
    }
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text) + "</dl>"


def _render_code(text: str) -> str:
    return f"<code>{_escape_text(text)}</code>" if text else ""


def _render_recording(report: Json) -> Iterator[str]:
    """Render the trials and curves that the plugin reported in one run."""
    recording = report.get("recording") or {}
    found = build_charts(recording.get("metrics") or ())
    table = recording.get("table") or {}
    trials = table.get("trials") or {}
    if not found and not trials:
        return
    best = str(table.get("best_trial") or "")
    names = [*trials] or list(dict.fromkeys(name for chart in found for name in chart.lines))
    yield "<h2>Reported trials and metrics</h2>\n"
    if trials:
        yield _render_trials(table, best, names)
    if found:
        drawings = (
            f"<figure><h3>{_escape_text(chart.title)}</h3>"
            f"{render_svg(draw_chart(chart, best=best, names=names), _PALETTE).decode()}</figure>"
            for chart in found
        )
        yield f'<div class="charts">{"".join(drawings)}</div>\n'
    if len(names) > MAX_COLORS:
        yield '<p class="soft">The best trial is coloured.</p>'


def _render_trials(table: Json, best: str, names: Sequence[str]) -> str:
    groups = ("base", "hyperparameters", "metrics")
    columns = [str(column) for group in groups for column in table.get(group) or ()]
    shown = list((table.get("trials") or {}).items())
    rows = []
    for trial_id, row in shown[:_MOST_ROWS]:
        cells = [value for group in groups for value in _get_cells(row, group)]
        key = f'<span class="{choose_color(trial_id, best, names)}"><span class="key"></span></span>'
        shown_cells = [_escape_text(_format_value(cell)) for cell in cells]
        rows.append([key + shown_cells[0], *shown_cells[1:]] if shown_cells else [key])
    winner = next((number for number, (trial_id, _) in enumerate(shown[:_MOST_ROWS]) if trial_id == best), None)
    right = [n for n in range(len(columns)) if all(_is_number_cell(row, n, groups) for _, row in shown)]
    left_out = len(shown) - _MOST_ROWS
    more = f'<p class="soft">{left_out} more trials are in the recording.</p>' if left_out > 0 else ""
    return _render_table(columns, rows, numbers=right, best=winner) + more


def _get_cells(row: Any, group: str) -> Sequence[Any]:
    cells = row.get(group) if isinstance(row, Mapping) else None
    return cells if isinstance(cells, list | tuple) else ()


def _is_number_cell(row: Any, column: int, groups: Sequence[str]) -> bool:
    cells = [value for group in groups for value in _get_cells(row, group)]
    return column < len(cells) and (cells[column] is None or isinstance(cells[column], int | float))


def _format_value(cell: Any) -> str:
    if cell is None:
        return "–"
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


def _render_checks(report: Json) -> Iterator[str]:
    yield "<h2>All checks</h2>\n"
    rows = []
    for check in report["checks"]:
        asked = check["selected"] or check["verdict"] != Verdict.NOT_RUN
        verdict = check["verdict"] if asked else "unasked"
        title = _escape_text(check["title"])
        if check["verdict"] not in (Verdict.PASS, Verdict.VACUOUS) and asked and check["message"]:
            title += f'<br><span class="soft">{_escape_text(check["message"])}</span>'
        word = f'<span class="{_css_class(verdict)}">{_escape_text(_WORDS.get(verdict, verdict))}</span>'
        seconds = f"{check['seconds']:.2f} s" if check["seconds"] else ""
        rows.append([f"<code>{_escape_text(check['id'])}</code>", word, title, check["level"], seconds])
    yield _render_table(["id", "verdict", "demand", "level", "time"], rows, numbers=[4])


def _render_footer(report: Json) -> Iterator[str]:
    ledger = report["ledger"]
    sums = f"{ledger['ran']} ran + {ledger['not_applicable']} not applicable + {ledger['waived']} waived"
    left = count_unselected(report["checks"])
    because = f" ({left} of them not selected)" if left else ""
    yield f"<h2>Ledger</h2><p>{sums} + {ledger['not_run']} not run{because} = {ledger['total']} checks</p>"
    for note in report["notes"]:
        yield f'<p class="partial">{_escape_text(note)}</p>'
    capabilities = report["capabilities"]
    facts = {
        "declared": ", ".join(capabilities["declared"]) or "nothing",
        "observed": ", ".join(capabilities["observed"]) or "nothing",
        "hash": report["plugin"]["hash"],
        **report["environment"],
    }
    yield "<details><summary>Plugin and environment</summary>"
    yield (
        _render_table(
            ["fact", "value"], [[_escape_text(name), _render_code(str(value))] for name, value in facts.items()]
        )
        + "</details>"
    )
