"""The report as one page that needs no network: verdict, failures, the recorded table and curves, every check."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from trialrun.testing.reports.badge import message
from trialrun.testing.reports.curves import COLOURS, charts, colour, drawn
from trialrun.testing.reports.text import Json, by_family, clean, place, subtitle, to_mend, unasked
from trialrun.testing.verdicts import Verdict

__all__ = ["rendered"]

_MOST_ROWS = 200
# The page runs no script and asks for nothing, whatever a plugin's texts say.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_COLUMNS = ("pass", "fail", "vacuous", "error", "waived", "n/a", "not run", "unasked")
_WORDS = {"pass": "passed", "fail": "failed", "unasked": "not asked for"}


def rendered(report: Json) -> str:
    """The page. Every text that comes from the plugin is escaped."""
    style = files("trialrun.testing.reports").joinpath("page.css").read_text("utf-8")
    name = _text(report["plugin"]["name"])
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(message(report))}: {name}</title><style>{style}</style></head>\n<body>",
            *_header(report, name),
            *_failures(report),
            *_recording(report),
            *_checks(report),
            *_small_print(report),
            "</body></html>\n",
        ]
    )


def _text(text: object) -> str:
    return html.escape(clean(text))


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-").replace("/", "-")


def _header(report: Json, name: str) -> Iterator[str]:
    headline = report["result"]["headline"]
    yield f'<header><p><span class="pill {_class(headline)}">{_text(message(report))}</span></p><h1>{name}</h1>'
    yield f'<p class="soft">{_text(subtitle(report))}</p></header>\n<h2>Families</h2>'
    counts = by_family(report)
    shown = [verdict for verdict in _COLUMNS if any(count[verdict] for count in counts.values())]
    head = ["family", *(_WORDS.get(verdict, verdict) for verdict in shown)]
    rows = [[family, *(_cell(verdict, count[verdict]) for verdict in shown)] for family, count in counts.items()]
    yield _table(head, rows, numbers=range(1, len(head)))


def _cell(verdict: str, count: int) -> str:
    return f'<span class="{_class(verdict)}">{count}</span>' if count else '<span class="soft">·</span>'


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), best: int | None = None
) -> str:
    """`head` is text; the cells are HTML."""
    right = set(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="n">{cell}</{tag}>' if column in right else f"<{tag}>{cell}</{tag}>"
            for column, cell in enumerate(row)
        )

    body = "".join(
        f'<tr class="best">{cells("td", row)}</tr>' if number == best else f"<tr>{cells('td', row)}</tr>"
        for number, row in enumerate(rows)
    )
    titles = cells("th", [_text(title) for title in head])
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _failures(report: Json) -> Iterator[str]:
    told = to_mend(report)
    if told:
        yield "<h2>What to mend</h2>\n"
    for group in told:
        verdict, names = group[0]["verdict"], " ".join(check["id"] for check in group)
        yield f'<article class="{_class(verdict)}"><h3><span class="{_class(verdict)}">'
        if len(group) == 1:
            yield f"{names} {_text(verdict)}</span> · {_text(group[0]['title'])}</h3>{_facts(group[0])}</article>\n"
        else:
            yield f"{len(group)} checks {_text(verdict)}</span></h3><p>{_text(group[0]['message'])}</p>"
            yield f'<p class="soft">{_text(names)}</p></article>\n'


def _facts(check: Json) -> str:
    facts = {
        "what": _text(check["message"]),
        "where": _code(place(check)),
        "why": _text(check["why"]),
        "fix": _text(check["fix"]),
        "repro": _code(f"python {check['repro']}" if check["repro"] else ""),
        "signature": _code(check["signature"]),
        "more": _code(f"trialrun explain {check['id']}"),
    }
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text) + "</dl>"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""


def _recording(report: Json) -> Iterator[str]:
    """What the plugin reported in one of the scenes."""
    recording = report.get("recording") or {}
    found = charts(recording.get("metrics") or ())
    table = recording.get("table") or {}
    trials = table.get("trials") or {}
    if not found and not trials:
        return
    best = str(table.get("best_trial") or "")
    names = [*trials] or list(dict.fromkeys(name for chart in found for name in chart.lines))
    yield "<h2>What it reported</h2>\n"
    if trials:
        yield _trials(table, best, names)
    if found:
        drawings = (
            f"<figure><h3>{_text(chart.title)}</h3>{drawn(chart, best=best, names=names)}</figure>" for chart in found
        )
        yield f'<div class="charts">{"".join(drawings)}</div>\n'
    if len(names) > COLOURS:
        yield '<p class="soft">The best trial is coloured.</p>'


def _trials(table: Json, best: str, names: Sequence[str]) -> str:
    groups = ("base", "hyperparameters", "metrics")
    columns = [str(column) for group in groups for column in table.get(group) or ()]
    shown = list((table.get("trials") or {}).items())
    rows = []
    for trial_id, row in shown[:_MOST_ROWS]:
        cells = [value for group in groups for value in _sequence(row, group)]
        key = f'<span class="{colour(trial_id, best, names)}"><span class="key"></span></span>'
        shown_cells = [_text(_value(cell)) for cell in cells]
        rows.append([key + shown_cells[0], *shown_cells[1:]] if shown_cells else [key])
    winner = next((number for number, (trial_id, _) in enumerate(shown[:_MOST_ROWS]) if trial_id == best), None)
    right = [n for n in range(len(columns)) if all(_is_number(row, n, groups) for _, row in shown)]
    left_out = len(shown) - _MOST_ROWS
    more = f'<p class="soft">{left_out} more trials are in the recording.</p>' if left_out > 0 else ""
    return _table(columns, rows, numbers=right, best=winner) + more


def _sequence(row: Any, group: str) -> Sequence[Any]:
    cells = row.get(group) if isinstance(row, Mapping) else None
    return cells if isinstance(cells, list | tuple) else ()


def _is_number(row: Any, column: int, groups: Sequence[str]) -> bool:
    cells = [value for group in groups for value in _sequence(row, group)]
    return column < len(cells) and (cells[column] is None or isinstance(cells[column], int | float))


def _value(cell: Any) -> str:
    if cell is None:
        return "–"
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


def _checks(report: Json) -> Iterator[str]:
    yield "<h2>All checks</h2>\n"
    rows = []
    for check in report["checks"]:
        asked = check["selected"] or check["verdict"] != Verdict.NOT_RUN
        verdict = check["verdict"] if asked else "unasked"
        title = _text(check["title"])
        if check["verdict"] not in (Verdict.PASS, Verdict.VACUOUS) and asked and check["message"]:
            title += f'<br><span class="soft">{_text(check["message"])}</span>'
        word = f'<span class="{_class(verdict)}">{_text(_WORDS.get(verdict, verdict))}</span>'
        seconds = f"{check['seconds']:.2f} s" if check["seconds"] else ""
        rows.append([f"<code>{_text(check['id'])}</code>", word, title, check["level"], seconds])
    yield _table(["id", "verdict", "what it demands", "level", "time"], rows, numbers=[4])


def _small_print(report: Json) -> Iterator[str]:
    ledger = report["ledger"]
    sums = f"{ledger['ran']} ran + {ledger['not_applicable']} not applicable + {ledger['waived']} waived"
    left = unasked(report["checks"])
    because = f" ({left} of them not asked for)" if left else ""
    yield f"<h2>Ledger</h2><p>{sums} + {ledger['not_run']} not run{because} = {ledger['total']} checks</p>"
    for note in report["notes"]:
        yield f'<p class="partial">{_text(note)}</p>'
    capabilities = report["capabilities"]
    facts = {
        "declared": ", ".join(capabilities["declared"]) or "nothing",
        "observed": ", ".join(capabilities["observed"]) or "nothing",
        "hash": report["plugin"]["hash"],
        **report["environment"],
    }
    yield "<details><summary>Plugin and environment</summary>"
    yield _table(["fact", "value"], [[_text(name), _code(str(value))] for name, value in facts.items()]) + "</details>"
