"""The live view of a terminal: trial table, last messages, best so far, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trialrun.cli import text
from trialrun.cli.tables import build_point_table, build_trial_table
from trialrun.cli.views import View
from trialrun_hookspecs.event import Event

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType, RenderResult
    from rich.status import Status

__all__ = ["LiveView"]

_PER_SECOND = 4
_MESSAGES = 4
_MARGIN = 2  # lines that are left free, so that the view never scrolls
_LEAST_TABLE = 2
_BAR = 40
_PHASE = 20
_CONTEXTS = {"danger": "red", "warning": "yellow", "success": "green"}


class LiveView(View):
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

    def show_heading(self, heading: list[str], advice: list[str]) -> None:
        self._stop_spinner()
        for line in heading:
            self._print_line(line)
        for warning in advice:
            self.warn(warning)
        self._live = RichLive(
            self, console=self._console, refresh_per_second=_PER_SECOND, redirect_stdout=sys.stdout.isatty()
        )
        self._live.start()

    def warn(self, text_: str) -> None:
        self._print_line(f"warning: {text.clean(text_)}", "yellow")

    def show_event(self, event: Event) -> None:
        if event.kind == "progress":
            self._eta_at = self.clock()

    def close(self) -> None:
        self._stop_spinner()
        if self._live is not None:
            self._live.stop()
            self._print_line("")

    def _stop_spinner(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None

    def _print_line(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            width, height = console.size
            below = [*self._render_messages(width), *self._render_best(), self._render_progress_bar(width)]
            yield Group(*self._render_table(width, height - len(below) - _MARGIN), *below)

    def _render_table(self, width: int, lines: int) -> list[RenderableType]:
        board = self.board
        if lines < _LEAST_TABLE:
            return []
        if board.trials:
            return [build_trial_table(board, width, lines)]
        return [build_point_table(board.points, lines)] if board.points else []

    def _render_messages(self, width: int) -> list[RenderableType]:
        lines: list[RenderableType] = []
        for event in list(self.board.messages)[-_MESSAGES:]:
            who = f"{text.clean(event.trial_id)}: " if event.trial_id else ""
            line = text.truncate(who + text.clean(event.data["content"]), width * 2)
            style = _CONTEXTS.get(str(event.data["context"]), "")
            lines.append(Text(line, style=style, no_wrap=True, overflow="ellipsis"))
        return lines

    def _render_best(self) -> list[RenderableType]:
        best, metric = self.board.find_best(), self.board.metric
        if best is None or metric is None:
            return []
        line = Text("best so far  ", style="bold", no_wrap=True, overflow="ellipsis")
        line.append(f"{text.clean(best.trial_id)}  {text.clean(metric)} {text.format_value(best.metrics.get(metric))}")
        return [line]

    def _render_progress_bar(self, width: int) -> RenderableType:
        said = self._format_progress()
        line = Table.grid(padding=(0, 2))
        bar = max(min(_BAR, width - len(said) - 3), 4)
        line.add_row(
            ProgressBar(total=1.0, completed=self.board.overall, width=bar),
            Text(said, no_wrap=True, overflow="ellipsis"),
        )
        return line

    def _format_progress(self) -> str:
        board = self.board
        words = [f"{int(board.overall * 100):3d} %"]
        if board.total is not None:
            words.append(f"{board.num_ended} of {board.total} trials")
        elif board.phase:
            words.append(text.truncate(text.clean(board.phase), _PHASE))
        words.append(text.format_duration(self.seconds_elapsed))
        if board.eta_s is not None and not board.over:
            left = board.eta_s - (self.clock() - self._eta_at)
            words.append(f"about {text.format_duration(max(left, 1))} left")
        return "  ".join(words)
