"""The live view of a terminal: trial table, progress, best so far, last messages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trialrun.cli import text
from trialrun.cli.board import Board, Trial
from trialrun.cli.views import View
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType, RenderResult
    from rich.status import Status

__all__ = ["Live", "fitting"]

_PER_SECOND = 5
_MESSAGES = 4
_MARGIN = 2  # lines that are left free, so that the view never scrolls
_GAP = 2
_STYLES = {"RUNNING": "cyan", "TERMINATED": "green", "ERROR": "red", "PAUSED": "yellow", "PENDING": "dim"}
_CONTEXTS = {"danger": "red", "warning": "yellow", "success": "green", "info": ""}


class Live(View):
    """Draws itself anew a few times a second, as large as the terminal is then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, console: Console | None = None) -> None:
        super().__init__(clock)
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._waiting: Status | None = None
        self._live: RichLive | None = None
        self._eta_at = 0.0

    def prepare(self) -> None:
        self._waiting = self._console.status("checking the job and the plugin")
        self._waiting.start()

    def begin(self, heading: list[str], advice: list[str]) -> None:
        self._prepared()
        for line in heading:
            self._print(line, "")
        for warning in advice:
            self.warn(warning)
        self._live = RichLive(
            self,
            console=self._console,
            refresh_per_second=_PER_SECOND,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()

    def warn(self, text_: str) -> None:
        self._print(f"warning: {text.clean(text_)}", "yellow")

    def show(self, event: Event) -> None:
        if event.kind == "progress":
            self._eta_at = self.clock()

    def close(self) -> None:
        self._prepared()
        if self._live is not None:
            self._live.stop()
            self._print("", "")

    def _prepared(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None

    def _print(self, line: str, style: str) -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            width, height = console.size
            below = [*self._messages(width), *self._best(), self._bar(width)]
            room = max(height - len(below) - _MARGIN, 3)
            yield Group(*self._above(width, room), *below)

    def _above(self, width: int, room: int) -> list[RenderableType]:
        board = self.board
        if board.trials:
            return [_table(board, width, room - 1), *_left_out(board, room - 1)]
        return [_points(board, room - 1)] if board.points else []

    def _messages(self, width: int) -> list[RenderableType]:
        lines: list[RenderableType] = []
        for event in list(self.board.messages)[-_MESSAGES:]:
            who = f"{event.trial_id}: " if event.trial_id else ""
            line = text.cut(who + text.clean(event.data["content"]), max(width - 1, 10))
            lines.append(
                Text(line, style=_CONTEXTS.get(str(event.data["context"]), ""), no_wrap=True, overflow="ellipsis")
            )
        return lines

    def _best(self) -> list[RenderableType]:
        best, metric = self.board.best(), self.board.metric
        if best is None or metric is None:
            return []
        line = Text("best so far  ", style="bold", no_wrap=True, overflow="ellipsis")
        line.append(f"{text.clean(best.trial_id)}  {text.clean(metric)} {text.value(best.metrics[metric])}")
        return [line]

    def _bar(self, width: int) -> RenderableType:
        board = self.board
        words = [f"{int(board.overall * 100):3d} %"]
        if board.total is not None:
            words.append(f"{board.ended} of {board.total} trials")
        elif board.phase:
            words.append(text.cut(text.clean(board.phase), 20))
        words.append(text.duration(self.elapsed))
        if board.eta_s is not None and not board.over:
            left = board.eta_s - (self.clock() - self._eta_at)
            words.append(f"about {text.duration(max(left, 1))} left")
        said = "  ".join(words)
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=1.0, completed=board.overall, width=max(min(40, width - len(said) - 3), 4)),
            Text(said, no_wrap=True, overflow="ellipsis"),
        )
        return line


def fitting(widths: Sequence[int], needed: int, room: int) -> int:
    """How many of the columns fit into `room` characters; the first `needed` always do."""
    used = 0
    for index, width in enumerate(widths):
        used += width + _GAP
        if used > room and index >= needed:
            return index
    return len(widths)


def _table(board: Board, width: int, rows: int) -> Table:
    """The rows that fit, in the columns that fit: the objective first, hyperparameters before other metrics."""
    shown, best = board.first(max(rows - 1, 1)), board.best()
    names = [*board.metrics[:1], *board.hyperparameters, *board.metrics[1:]]
    columns = [("", [_mark(trial, best) for trial in shown]), ("trial", [text.clean(t.trial_id) for t in shown])]
    columns.append(("status", [trial.status for trial in shown]))
    columns += [(text.cut(text.clean(name), 20), [_cell(trial, name, board) for trial in shown]) for name in names]
    widths = [max(cell_len(cell) for cell in (head, *cells)) for head, cells in columns]
    count = fitting(widths, 3, width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for index, (head, cells) in enumerate(columns[:count]):
        right = index > 2 and all(_looks_like_number(cell) for cell in cells)
        table.add_column(Text(head), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for number, trial in enumerate(shown):
        styles = ["", "", _STYLES.get(trial.status, "")]
        texts = [Text(cells[number], style=style) for (_, cells), style in zip_longest(columns[:count], styles[:count])]
        table.add_row(*texts, style="bold" if trial is best else "")
    return table


def _mark(trial: Trial, best: Trial | None) -> str:
    return "★" if best is not None and trial.trial_id == best.trial_id else ""


def _cell(trial: Trial, name: str, board: Board) -> str:
    source = trial.hyperparameters if name in board.hyperparameters else trial.metrics
    return text.value(source.get(name))


def _looks_like_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def _left_out(board: Board, rows: int) -> list[RenderableType]:
    hidden = len(board.trials) - max(rows - 1, 1)
    return [Text(f"… {hidden} more", style="dim")] if hidden > 0 else []


def _points(board: Board, rows: int) -> Table:
    """The last value of each metric, in training."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for head, justify in (("metric", "left"), ("value", "right"), ("", "left")):
        table.add_column(head, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for name, point in list(board.points.items())[-max(rows, 1) :]:
        beside: dict[str, Any] = point.get("metrics", {})
        more = "  ".join(f"{text.clean(key)} {text.value(cell)}" for key, cell in beside.items())
        table.add_row(Text(text.clean(name)), Text(text.value(point["value"])), Text(more, style="dim"))
    return table
