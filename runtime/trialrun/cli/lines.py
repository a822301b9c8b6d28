"""Plain lines for logs and pipes: one per finished trial, phase and message, and never a flood."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from trialrun.cli import text
from trialrun.cli.job_state import ENDED_STATUSES, JobState, TrialRow
from trialrun.cli.views import View, format_local_time
from trialrun_hookspecs.event import Event

__all__ = ["LineView", "Throttle"]

_BURST = 40
_PER_SECOND = 4.0
_STEPS = 10  # a phase is told of at each tenth,
_PAUSE_S = 1.0  # but not more often than this
_POINTS = 3  # metrics beside a step of training
_BY_ENGINE = ("dataset", "model_upload")


class Throttle:
    """Lets `burst` lines through at once, and `per_second` of them in the long run; counts those it holds back."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, burst: int = _BURST, per_second: float = _PER_SECOND
    ) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_second = per_second
        self._left = self._burst
        self._at = clock()
        self._held = 0

    def try_acquire(self) -> bool:
        """Whether a line may go out now."""
        at = self._clock()
        self._left = min(self._burst, self._left + (at - self._at) * self._per_second)
        self._at = at
        if self._left < 1.0:
            self._held += 1
            return False
        self._left -= 1.0
        return True

    def pop_held_count(self) -> int:
        """How many lines were held back since the last time."""
        held, self._held = self._held, 0
        return held


class LineView(View):
    """Writes `12:03:22 trial a1 ended: accuracy 0.95` and the like."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, stamp: Callable[[], str] = format_local_time
    ) -> None:
        super().__init__(clock)
        self._stamp = stamp
        self._throttle = Throttle(clock)
        self._told: set[str] = set()
        self._steps: dict[str, tuple[float, float]] = {}
        self._waiting: Event | None = None

    def show_heading(self, heading: list[str], advice: list[str]) -> None:
        for line in heading:
            self._print_line(line)
        for warning in advice:
            self.warn(warning)

    def warn(self, text_: str) -> None:
        self._print_line(f"warning: {text.clean(text_)}")

    def show_event(self, event: Event) -> None:
        self._flush_pending_error(event)
        if event.kind == "message" and not self.board.over:
            if event.data["context"] == "danger" and event.trial_id is None:
                self._waiting = event
            else:
                self._print_message(event)
        elif event.kind in ("trials", "trials_delta") and event.trial_id is None:
            self._print_ended_trials(event.data["trials"])
        elif event.kind == "progress" and event.trial_id is None:
            self._print_progress(event.data)

    def close(self) -> None:
        self._flush_pending_error(None)
        self._print_held_count()

    def _flush_pending_error(self, event: Event | None) -> None:
        """A failed job says its error as a message and as its status; the command itself says it at the end."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if event is None or event.kind != "status" or event.data.get("error") != waiting.data["content"]:
            self._print_message(waiting)

    def _print_message(self, event: Event) -> None:
        context, content = event.data["context"], text.clean(event.data["content"])
        mark = {"danger": "error: ", "warning": "warning: "}.get(context, "")
        self._print_line(f"trial {event.trial_id}: {mark}{content}" if event.trial_id else f"{mark}{content}")

    def _print_ended_trials(self, changed: Mapping[str, Any]) -> None:
        for trial_id in changed:
            trial = self.board.trials[trial_id]
            if trial.status in ENDED_STATUSES and trial_id not in self._told:
                self._told.add(trial_id)
                if trial.status == "TERMINATED":  # of one that failed the engine says why in a message
                    self._print_line(f"{_format_ended_trial(trial, self.board)} ({self._format_count()})")

    def _format_count(self) -> str:
        of = f"{len(self._told)} of {self.board.total}" if self.board.total else str(len(self._told))
        eta = self.board.eta_s
        return of if not eta or eta < 1 else f"{of}, about {text.format_duration(eta)} left"

    def _print_progress(self, data: Mapping[str, Any]) -> None:
        category, current, total = str(data["category"]), float(data["current"]), float(data["total"])
        if self.board.metric is not None and category in ("train", "trials"):
            return  # told trial by trial
        fraction = 1.0 if current >= total else current / total
        if self._is_worth_printing(category, fraction):
            self._steps[category] = fraction, self.clock()
            latest = "" if category in _BY_ENGINE else self._format_latest_points()
            self._print_line(f"{text.clean(category) or 'progress'} {fraction:.0%}{latest}")

    def _is_worth_printing(self, category: str, fraction: float) -> bool:
        if category not in self._steps:
            return True
        last, at = self._steps[category]
        if fraction == 1.0:
            return last < 1.0
        return int(fraction * _STEPS) > int(last * _STEPS) and self.clock() - at >= _PAUSE_S

    def _format_latest_points(self) -> str:
        points = list(self.board.points.items())[-_POINTS:]
        shown = ", ".join(f"{text.clean(name)} {text.format_value(point['value'])}" for name, point in points)
        return f": {shown}" if shown else ""

    def _print_line(self, line: str) -> None:
        if self._throttle.try_acquire():
            self._print_held_count()
            self.write(f"{self._stamp()} {line}")

    def _print_held_count(self) -> None:
        held = self._throttle.pop_held_count()
        if held:
            self.write(f"{self._stamp()} … {held} lines left out; the recording has all")


def _format_ended_trial(trial: TrialRow, board: JobState) -> str:
    names = [name for name in board.metrics if trial.metrics.get(name) is not None]
    shown = ", ".join(f"{text.clean(name)} {text.format_value(trial.metrics[name])}" for name in names)
    return f"trial {text.clean(trial.trial_id)} ended: {shown}" if shown else f"trial {trial.trial_id} ended"
