"""The live view on a terminal: trial table, last messages, best trial, progress."""

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
_MARGIN = 2  # free lines, so that the view never scrolls
_MIN_TABLE = 2
_BAR = 40
_PHASE = 20
_CONTEXTS = {"danger": "red", "warning": "yellow", "success": "green"}


class LiveView(View):
    """A view that redraws itself a few times a second and fits the terminal's current size."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, console: Console | None = None) -> None:
        super().__init__(clock)
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._spinner: Status | None = None
        self._live: RichLive | None = None
        self._eta_at = 0.0

    def prepare(self) -> None:
        self._spinner = self._console.status("checking the job and the plugin")
        self._spinner.start()

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

    def warn(self, message: str) -> None:
        self._print_line(f"warning: {text.clean(message)}", "yellow")

    def show_event(self, event: Event) -> None:
        if event.kind == "progress":
            self._eta_at = self.clock()

    def close(self) -> None:
        self._stop_spinner()
        if self._live is not None:
            self._live.stop()
            self._print_line("")

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def _print_line(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            width, height = console.size
            below = [*self._render_messages(width), *self._render_best(), self._render_progress_bar(width)]
            yield Group(*self._render_table(width, height - len(below) - _MARGIN), *below)

    def _render_table(self, width: int, lines: int) -> list[RenderableType]:
        state = self.state
        if lines < _MIN_TABLE:
            return []
        if state.trials:
            return [build_trial_table(state, width, lines)]
        return [build_point_table(state.points, lines)] if state.points else []

    def _render_messages(self, width: int) -> list[RenderableType]:
        lines: list[RenderableType] = []
        for event in list(self.state.messages)[-_MESSAGES:]:
            prefix = f"{text.clean(event.trial_id)}: " if event.trial_id else ""
            line = text.truncate(prefix + text.clean(event.data["content"]), width * 2)
            style = _CONTEXTS.get(str(event.data["context"]), "")
            lines.append(Text(line, style=style, no_wrap=True, overflow="ellipsis"))
        return lines

    def _render_best(self) -> list[RenderableType]:
        best, metric = self.state.find_best(), self.state.metric
        if best is None or metric is None:
            return []
        line = Text("best so far  ", style="bold", no_wrap=True, overflow="ellipsis")
        line.append(f"{text.clean(best.trial_id)}  {text.format_metric(metric, best.metrics.get(metric))}")
        return [line]

    def _render_progress_bar(self, width: int) -> RenderableType:
        words = self._format_progress()
        line = Table.grid(padding=(0, 2))
        bar = max(min(_BAR, width - len(words) - 3), 4)
        line.add_row(
            ProgressBar(total=1.0, completed=self.state.overall, width=bar),
            Text(words, no_wrap=True, overflow="ellipsis"),
        )
        return line

    def _format_progress(self) -> str:
        state = self.state
        words = [f"{int(state.overall * 100):3d} %"]
        if state.total is not None:
            words.append(f"{state.num_ended} of {state.total} trials")
        elif state.phase:
            words.append(text.truncate(text.clean(state.phase), _PHASE))
        words.append(text.format_duration(self.seconds_elapsed))
        if state.eta_s is not None and not state.over:
            remaining = state.eta_s - (self.clock() - self._eta_at)
            words.append(f"about {text.format_duration(max(remaining, 1))} left")
        return "  ".join(words)
