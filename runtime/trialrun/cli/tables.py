"""The trial table and the last points of training as rich tables that fit where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from trialrun.cli import text
from trialrun.cli.job_state import Board, Trial

__all__ = ["fitting", "point_table", "trial_table"]

_GAP = 2
_HEAD = 20
_ALWAYS = 3  # mark, trial, status
_STYLES = {"RUNNING": "cyan", "TERMINATED": "green", "ERROR": "red", "PAUSED": "yellow", "PENDING": "dim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    head: str
    cells: list[str]
    styles: list[str]

    @property
    def width(self) -> int:
        return max(cell_len(cell) for cell in (self.head, *self.cells))

    @property
    def is_of_numbers(self) -> bool:
        return all(_looks_like_number(cell) for cell in self.cells)


def fitting(widths: Sequence[int], needed: int, room: int) -> int:
    """How many of the columns fit into `room` characters; the first `needed` are taken in any case."""
    used = 0
    for index, width in enumerate(widths):
        used += width + (_GAP if index else 0)
        if used > room and index >= needed:
            return index
    return len(widths)


def trial_table(board: Board, width: int, lines: int) -> Table:
    """At most `lines` lines (at least two, header included): rows and columns as they fit, the objective first."""
    count = max(lines - 1, 1)
    if len(board.trials) > count:
        count = max(count - 1, 1)  # a line says how many are not shown
    columns = _columns(board, board.first(count))
    columns = columns[: fitting([column.width for column in columns], _ALWAYS, width)]
    table = _empty()
    for index, column in enumerate(columns):
        right = index >= _ALWAYS and column.is_of_numbers
        table.add_column(Text(column.head), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for row in zip(*(zip(column.cells, column.styles, strict=True) for column in columns), strict=True):
        table.add_row(*(Text(cell, style=style) for cell, style in row))
    if len(board.trials) > count:
        table.add_row("", Text(f"{len(board.trials) - count} more", style="dim"))
    return table


def point_table(points: Mapping[str, Mapping[str, Any]], lines: int) -> Table:
    """The last value of each metric of a training, in at most `lines` lines."""
    table = _empty()
    table.add_column(Text("metric"), no_wrap=True, overflow="ellipsis")
    table.add_column(Text("value"), justify="right", no_wrap=True)
    table.add_column(Text(""), no_wrap=True, overflow="ellipsis")
    for name, point in list(points.items())[-max(lines - 1, 1) :]:
        beside = "  ".join(f"{text.clean(key)} {text.value(cell)}" for key, cell in point.get("metrics", {}).items())
        table.add_row(Text(text.clean(name)), Text(text.value(point["value"])), Text(beside, style="dim"))
    return table


def _empty() -> Table:
    return Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False, header_style="bold")


def _columns(board: Board, trials: Sequence[Trial]) -> list[_Column]:
    best = board.best()
    styles = ["bold" if trial is best else "" for trial in trials]

    def column(head: str, cell: Callable[[Trial], Any], own: Iterable[str] = styles) -> _Column:
        cells = [text.value(cell(trial)) for trial in trials]
        return _Column(head=text.cut(text.clean(head), _HEAD), cells=cells, styles=list(own))

    def metric(name: str) -> _Column:
        return column(name, lambda trial: trial.metrics.get(name))

    def hyperparameter(name: str) -> _Column:
        return column(name, lambda trial: trial.hyperparameters.get(name))

    return [
        column("", lambda trial: "★" if trial is best else ""),
        column("trial", lambda trial: trial.trial_id),
        column("status", lambda trial: trial.status, (_STYLES.get(trial.status, "") for trial in trials)),
        *map(metric, board.metrics[:1]),
        *map(hyperparameter, board.hyperparameters),
        *map(metric, board.metrics[1:]),
    ]


def _looks_like_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
