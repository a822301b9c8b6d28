"""`trialrun show`: what came of a run: result, best trial, table, failures."""

from __future__ import annotations

import difflib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from trialrun.cli import text
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recordings import Study

__all__ = ["command", "sort_row_indices"]

_FACTS = ("trial_id", "status")
_LONG = 300
_HEAD = 20
_TRACEBACK = 12  # lines


@click.command("show")
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--sort", metavar="COLUMN", help="A metric, a hyperparameter or a fact; else the objective.")
@click.option("--descending/--ascending", default=None, help="Which end comes first; else the better one does.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Rows of the table, and failures; 0: all.",
)
@click.option("--traceback", is_flag=True, help="Print the end of each failure's traceback too.")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
def command(path: str, sort: str | None, descending: bool | None, limit: int, traceback: bool, job: int | None) -> None:
    """Print what came of the run in DIR: its state, the best trial, the trials, and why some of them failed."""
    from trialrun.cli import status
    from trialrun.recordings import open_study
    from trialrun.recordings.state import read_state

    now = datetime.now(UTC)
    with open_study(path, job) as study:
        made = status.format_state(replace(read_state(study, now), best=None), path, now)  # told at length below
        made += [
            *_format_best(study),
            *_format_result(study),
            *_format_table(study, sort, descending, limit),
            *_format_failures(study, traceback, limit),
        ]
    click.echo("\n".join(made))


def _format_best(study: Study) -> list[str]:
    from trialrun.recordings.rows import trial_values

    trials = study.list_trials()
    best = study.find_best_id(trials)
    row = next((trial for trial in trials if trial.trial == best), None)
    if row is None:
        return []
    config, metrics = trial_values(row)
    metric = study.get_objective()[0]
    first = {metric: metrics[metric]} if metric in metrics else {}
    made = ["", f"best trial {text.clean(row.trial)}"]
    for label, values in (("", {**first, **metrics}), ("with", config)):
        pairs = [
            f"{text.truncate(text.clean(name), 40)}={text.format_value(cell, 40)}" for name, cell in values.items()
        ]
        made += _wrap_pairs(label, pairs)
    return made


def _wrap_pairs(label: str, pairs: Sequence[str], width: int = 90) -> list[str]:
    lines = [""]
    for pair in pairs:
        if lines[-1] and len(lines[-1]) + len(pair) > width:
            lines.append("")
        lines[-1] += f"  {pair}" if lines[-1] else pair
    return [f"{label if index == 0 else '':<10} {line}" for index, line in enumerate(lines) if line]


def _format_result(study: Study) -> list[str]:
    result = study.read_result() or {}
    made = []
    if result.get("model_id") is not None:
        made.append(f"{'model':<10} {text.format_value(result['model_id'])}")
    if result.get("ended_by"):
        made.append(f"{'ended by':<10} {text.clean(result['ended_by'])}")
    warnings = result.get("warnings")
    made += (
        [
            f"{'warning':<10} {text.truncate(text.clean(words), _LONG)}"
            for words in warnings
            if isinstance(warnings, list)
        ]
        if warnings
        else []
    )
    return made


def _format_table(study: Study, sort: str | None, descending: bool | None, limit: int) -> list[str]:
    from trialrun.recordings.rows import trial_columns

    trials = study.list_trials()
    columns = trial_columns(trials)
    metric, mode = study.get_objective()
    if sort is not None:
        column = _find_column(columns, sort)
    else:
        column = f"metrics/{metric}" if f"metrics/{metric}" in columns else "number"
        descending = (mode == "max" and column != "number") if descending is None else descending
    if not trials:
        return []
    order = sort_row_indices(columns[column], descending=bool(descending))
    kept = order[:limit] if limit else order
    names = dict.fromkeys([*_FACTS, column, *(name for name in columns if "/" in name)])
    made = [_format_column(name, [columns[name][row] for row in kept]) for name in names]
    return [
        "",
        *_fit_columns(made),
        *([f"… and {len(order) - len(kept)} more: --limit 0 prints all"] * (len(order) > len(kept))),
    ]


def _format_column(name: str, cells: Sequence[Any]) -> list[str]:
    """A head and cells, all of one width; numbers stand at the right."""
    from rich.cells import cell_len

    words = [text.truncate(text.clean(name.partition("/")[2] or name), _HEAD), *map(text.format_value, cells)]
    width = max(map(cell_len, words))
    right = any(isinstance(cell, int | float) for cell in cells)
    return [" " * (width - cell_len(word)) + word if right else word + " " * (width - cell_len(word)) for word in words]


def _fit_columns(columns: Sequence[list[str]]) -> list[str]:
    """The lines of a table; on a terminal only the columns that fit, and a word on the others."""
    from rich.cells import cell_len

    from trialrun.cli.tables import count_fitting_columns

    widths = [cell_len(column[0]) for column in columns]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + 2 * len(widths)
    count = count_fitting_columns(widths, len(_FACTS) + 1, room)
    lines = ["  ".join(row).rstrip() for row in zip(*columns[:count], strict=True)]
    left = len(columns) - count
    return [*lines, f"… and {left} more columns: they do not fit this terminal"] if left else lines


def sort_row_indices(cells: Sequence[Any], *, descending: bool) -> list[int]:
    """The places of cells in order: numbers before text, NaN and missing ones last whatever the direction."""
    there = [index for index, cell in enumerate(cells) if cell is not None and cell == cell]  # NaN is not itself
    numbers = [index for index in there if isinstance(cells[index], int | float)]
    words = [index for index in there if not isinstance(cells[index], int | float)]
    numbers.sort(key=lambda index: cells[index], reverse=descending)
    words.sort(key=lambda index: str(cells[index]), reverse=descending)
    found = set(there)
    return [*numbers, *words, *(index for index in range(len(cells)) if index not in found)]


def _find_column(columns: Mapping[str, Any], asked: str) -> str:
    """A column by its whole name, or by what follows `metrics/` or `config/`."""
    for name in (asked, f"metrics/{asked}", f"config/{asked}"):
        if name in columns:
            return name
    short = [name.partition("/")[2] or name for name in columns]
    close = difflib.get_close_matches(asked, short, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(short[:20])}."
    raise UsageError("must be a column of the trials", where="--sort", got=repr(asked), fix=text.clean(fix))


def _format_failures(study: Study, traceback: bool, limit: int) -> list[str]:
    told = study.list_failures()
    if not told:
        return []
    made = ["", f"failed     {len(told)}"]
    for failure in told[: limit or None]:
        cause = f" ({text.clean(failure['cause'])})" if failure.get("cause") else ""
        error = text.truncate(text.clean(failure.get("error", "")), _LONG)
        made.append(f"  {text.clean(failure.get('trial_id'))}{cause}: {error}")
        if traceback:
            lines = str(failure.get("traceback") or "").splitlines()[-_TRACEBACK:]
            made += [
                f"    {text.clean(line)}" if not line.startswith(" ") else f"      {text.clean(line)}" for line in lines
            ]
    if limit and len(told) > limit:
        made.append(f"  … and {len(told) - limit} more: --limit 0 prints all")
    return made
