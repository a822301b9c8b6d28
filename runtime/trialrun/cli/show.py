"""`trialrun show`: what came of a run: result, best trial, table, failures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli import text
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recordings import Study

__all__ = ["command", "sorted_rows"]

_FACTS = ("trial_id", "status")
_LONG = 300
_TRACEBACK = 12  # lines


@click.command("show")
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--sort", metavar="COLUMN", help="A metric, a hyperparameter or a fact; else the objective.")
@click.option("--descending/--ascending", default=None, help="Which end comes first; else the better one does.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of the table; 0: all.")
@click.option("--traceback", is_flag=True, help="Print the end of each failure's traceback too.")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
def command(path: str, sort: str | None, descending: bool | None, limit: int, traceback: bool, job: int | None) -> None:
    """Print what came of the run in DIR: its state, the best trial, the trials, and why some of them failed."""
    from trialrun.cli import status
    from trialrun.recordings import opened
    from trialrun.recordings.state import state_of

    now = datetime.now(UTC)
    with opened(path, job) as study:
        made = status.lines(replace(state_of(study, now), best=None), path, now)  # told at length below
        made += [*_best(study), *_result(study), *_table(study, sort, descending, limit), *_failures(study, traceback)]
    click.echo("\n".join(made))


def _best(study: Study) -> list[str]:
    from trialrun.recordings.rows import values_of

    trials = study.trials()
    best = study.best(trials)
    row = next((trial for trial in trials if trial.trial == best), None)
    if row is None:
        return []
    config, metrics = values_of(row)
    metric = study.objective()[0]
    first = {metric: metrics[metric]} if metric in metrics else {}
    made = ["", f"best trial {text.clean(row.trial)}"]
    for label, values in (("", {**first, **metrics}), ("with", config)):
        pairs = [f"{text.cut(text.clean(name), 40)}={text.value(cell, 40)}" for name, cell in values.items()]
        made += _wrapped(label, pairs)
    return made


def _wrapped(label: str, pairs: Sequence[str], width: int = 90) -> list[str]:
    lines = [""]
    for pair in pairs:
        if lines[-1] and len(lines[-1]) + len(pair) > width:
            lines.append("")
        lines[-1] += f"  {pair}" if lines[-1] else pair
    return [f"{label if index == 0 else '':<10} {line}" for index, line in enumerate(lines) if line]


def _result(study: Study) -> list[str]:
    result = study.result() or {}
    made = []
    if result.get("model_id") is not None:
        made.append(f"{'model':<10} {text.value(result['model_id'])}")
    if result.get("ended_by"):
        made.append(f"{'ended by':<10} {text.clean(result['ended_by'])}")
    warnings = result.get("warnings")
    made += (
        [f"{'warning':<10} {text.cut(text.clean(words), _LONG)}" for words in warnings if isinstance(warnings, list)]
        if warnings
        else []
    )
    return made


def _table(study: Study, sort: str | None, descending: bool | None, limit: int) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trialrun.recordings.rows import trial_columns

    trials = study.trials()
    columns = trial_columns(trials)
    metric, mode = study.objective()
    if sort is not None:
        column = _column(columns, sort)
    else:
        column = f"metrics/{metric}" if f"metrics/{metric}" in columns else "number"
        descending = (mode == "max" and column != "number") if descending is None else descending
    if not trials:
        return []
    order = sorted_rows(columns[column], descending=bool(descending))
    kept = order[:limit] if limit else order
    shown = [*_FACTS, *(name for name in columns if "/" in name)]
    if column not in shown:
        shown.insert(2, column)
    if column.startswith("metrics/"):
        shown = [*_FACTS, column, *(name for name in shown[2:] if name != column)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for name in shown:
        label = text.cut(text.clean(name.partition("/")[2] or name), 20)
        numbers = any(isinstance(columns[name][row], int | float) for row in kept)
        table.add_column(Text(label), justify="right" if numbers else "left", no_wrap=True)
    for row in kept:
        table.add_row(*(Text(text.value(columns[name][row])) for name in shown))
    console = Console(highlight=False, width=100_000, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    more = [f"… and {len(order) - len(kept)} more: --limit 0 prints all"] if len(order) > len(kept) else []
    return ["", *lines, *more]


def sorted_rows(cells: Sequence[Any], *, descending: bool) -> list[int]:
    """The places of cells in order: numbers before text, NaN and missing ones last whatever the direction."""
    there = [index for index, cell in enumerate(cells) if cell is not None and cell == cell]  # NaN is not itself
    numbers = [index for index in there if isinstance(cells[index], int | float)]
    words = [index for index in there if not isinstance(cells[index], int | float)]
    numbers.sort(key=lambda index: cells[index], reverse=descending)
    words.sort(key=lambda index: str(cells[index]), reverse=descending)
    found = set(there)
    return [*numbers, *words, *(index for index in range(len(cells)) if index not in found)]


def _column(columns: Mapping[str, Any], asked: str) -> str:
    """A column by its whole name, or by what follows `metrics/` or `config/`."""
    for name in (asked, f"metrics/{asked}", f"config/{asked}"):
        if name in columns:
            return name
    short = [name.partition("/")[2] or name for name in columns]
    close = difflib.get_close_matches(asked, short, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(short[:20])}."
    raise UsageError("must be a column of the trials", where="--sort", got=repr(asked), fix=text.clean(fix))


def _failures(study: Study, traceback: bool) -> list[str]:
    told = study.failures()
    if not told:
        return []
    made = ["", f"failed     {len(told)}"]
    for failure in told:
        cause = f" ({text.clean(failure['cause'])})" if failure.get("cause") else ""
        error = text.cut(text.clean(failure.get("error", "")), _LONG)
        made.append(f"  {text.clean(failure.get('trial_id'))}{cause}: {error}")
        if traceback:
            lines = str(failure.get("traceback") or "").splitlines()[-_TRACEBACK:]
            made += [
                f"    {text.clean(line)}" if not line.startswith(" ") else f"      {text.clean(line)}" for line in lines
            ]
    return made
