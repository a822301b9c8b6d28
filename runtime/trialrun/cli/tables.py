"""The trial table, and the last points of a training, as rich tables that fit the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from trialrun.cli import text
from trialrun.cli.job_state import JobState, TrialRow

__all__ = ["build_point_table", "build_trial_table", "count_fitting_columns"]

_GAP = 2
_HEAD = 20
_FIXED_COLUMNS = 3  # best, trial, status
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
    def is_numeric(self) -> bool:
        return all(_looks_like_number(cell) for cell in self.cells)


def count_fitting_columns(widths: Sequence[int], needed: int, room: int) -> int:
    """Return how many columns fit into `room` characters; the first `needed` always count as fitting."""
    used = 0
    for index, width in enumerate(widths):
        used += width + (_GAP if index else 0)
        if used > room and index >= needed:
            return index
    return len(widths)


def build_trial_table(state: JobState, width: int, lines: int) -> Table:
    """Return a table of `lines` lines at most, header included, but at least two. Its first metric is the objective."""
    count = max(lines - 1, 1)
    if len(state.trials) > count:
        count = max(count - 1, 1)  # the last line counts the others
    columns = _build_columns(state, state.top_trials(count))
    columns = columns[: count_fitting_columns([column.width for column in columns], _FIXED_COLUMNS, width)]
    table = _create_table()
    for index, column in enumerate(columns):
        right = index >= _FIXED_COLUMNS and column.is_numeric
        table.add_column(Text(column.head), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for row in zip(*(zip(column.cells, column.styles, strict=True) for column in columns), strict=True):
        table.add_row(*(Text(cell, style=style) for cell, style in row))
    if len(state.trials) > count:
        table.add_row("", Text(f"{len(state.trials) - count} more", style="dim"))
    return table


def build_point_table(points: Mapping[str, Mapping[str, Any]], lines: int) -> Table:
    """Return the last value of each metric of a training, in `lines` lines at most."""
    table = _create_table()
    table.add_column(Text("metric"), no_wrap=True, overflow="ellipsis")
    table.add_column(Text("value"), justify="right", no_wrap=True)
    table.add_column(Text(""), no_wrap=True, overflow="ellipsis")
    for name, point in list(points.items())[-max(lines - 1, 1) :]:
        details = "  ".join(text.format_metric(key, cell) for key, cell in point.get("metrics", {}).items())
        table.add_row(Text(text.clean(name)), Text(text.format_value(point["value"])), Text(details, style="dim"))
    return table


def _create_table() -> Table:
    return Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False, header_style="bold")


def _build_columns(state: JobState, trials: Sequence[TrialRow]) -> list[_Column]:
    best = state.find_best()
    styles = ["bold" if trial is best else "" for trial in trials]

    def build_column(head: str, cell: Callable[[TrialRow], Any], own: Iterable[str] = styles) -> _Column:
        cells = [text.format_value(cell(trial)) for trial in trials]
        return _Column(head=text.truncate(text.clean(head), _HEAD), cells=cells, styles=list(own))

    def metric_column(name: str) -> _Column:
        return build_column(name, lambda trial: trial.metrics.get(name))

    def hyperparameter_column(name: str) -> _Column:
        return build_column(name, lambda trial: trial.hyperparameters.get(name))

    return [
        build_column("", lambda trial: "★" if trial is best else ""),
        build_column("trial", lambda trial: trial.trial_id),
        build_column("status", lambda trial: trial.status, (_STYLES.get(trial.status, "") for trial in trials)),
        *map(metric_column, state.metrics[:1]),
        *map(hyperparameter_column, state.hyperparameters),
        *map(metric_column, state.metrics[1:]),
    ]


def _looks_like_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
