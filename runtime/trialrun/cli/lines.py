"""Plain lines for logs and pipes: one per finished trial, phase and message, and never a flood."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from trialrun.cli import text
from trialrun.cli.job_state import ENDED, Board, Trial
from trialrun.cli.views import View, now
from trialrun_hookspecs.event import Event

__all__ = ["Lines", "Throttle"]

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

    def allows(self) -> bool:
        """Whether a line may go out now."""
        at = self._clock()
        self._left = min(self._burst, self._left + (at - self._at) * self._per_second)
        self._at = at
        if self._left < 1.0:
            self._held += 1
            return False
        self._left -= 1.0
        return True

    def take_held(self) -> int:
        """How many lines were held back since the last time."""
        held, self._held = self._held, 0
        return held


class Lines(View):
    """Writes `12:03:22 trial a1 ended: accuracy 0.95` and the like."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, stamp: Callable[[], str] = now) -> None:
        super().__init__(clock)
        self._stamp = stamp
        self._throttle = Throttle(clock)
        self._told: set[str] = set()
        self._steps: dict[str, tuple[float, float]] = {}
        self._waiting: Event | None = None

    def begin(self, heading: list[str], advice: list[str]) -> None:
        for line in heading:
            self._line(line)
        for warning in advice:
            self.warn(warning)

    def warn(self, text_: str) -> None:
        self._line(f"warning: {text.clean(text_)}")

    def show(self, event: Event) -> None:
        self._settle(event)
        if event.kind == "message" and not self.board.over:
            if event.data["context"] == "danger" and event.trial_id is None:
                self._waiting = event
            else:
                self._message(event)
        elif event.kind in ("trials", "trials_delta") and event.trial_id is None:
            self._trials(event.data["trials"])
        elif event.kind == "progress" and event.trial_id is None:
            self._progress(event.data)

    def close(self) -> None:
        self._settle(None)
        self._tell_held()

    def _settle(self, event: Event | None) -> None:
        """A failed job says its error as a message and as its status; the command itself says it at the end."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if event is None or event.kind != "status" or event.data.get("error") != waiting.data["content"]:
            self._message(waiting)

    def _message(self, event: Event) -> None:
        context, content = event.data["context"], text.clean(event.data["content"])
        mark = {"danger": "error: ", "warning": "warning: "}.get(context, "")
        self._line(f"trial {event.trial_id}: {mark}{content}" if event.trial_id else f"{mark}{content}")

    def _trials(self, changed: Mapping[str, Any]) -> None:
        for trial_id in changed:
            trial = self.board.trials[trial_id]
            if trial.status in ENDED and trial_id not in self._told:
                self._told.add(trial_id)
                if trial.status == "TERMINATED":  # of one that failed the engine says why in a message
                    self._line(f"{_ended(trial, self.board)} ({self._count()})")

    def _count(self) -> str:
        of = f"{len(self._told)} of {self.board.total}" if self.board.total else str(len(self._told))
        eta = self.board.eta_s
        return of if not eta or eta < 1 else f"{of}, about {text.duration(eta)} left"

    def _progress(self, data: Mapping[str, Any]) -> None:
        category, current, total = str(data["category"]), float(data["current"]), float(data["total"])
        if self.board.metric is not None and category in ("train", "trials"):
            return  # told trial by trial
        fraction = 1.0 if current >= total else current / total
        if self._is_news(category, fraction):
            self._steps[category] = fraction, self.clock()
            latest = "" if category in _BY_ENGINE else self._latest()
            self._line(f"{text.clean(category) or 'progress'} {fraction:.0%}{latest}")

    def _is_news(self, category: str, fraction: float) -> bool:
        if category not in self._steps:
            return True
        last, at = self._steps[category]
        if fraction == 1.0:
            return last < 1.0
        return int(fraction * _STEPS) > int(last * _STEPS) and self.clock() - at >= _PAUSE_S

    def _latest(self) -> str:
        points = list(self.board.points.items())[-_POINTS:]
        shown = ", ".join(f"{text.clean(name)} {text.value(point['value'])}" for name, point in points)
        return f": {shown}" if shown else ""

    def _line(self, line: str) -> None:
        if self._throttle.allows():
            self._tell_held()
            self.write(f"{self._stamp()} {line}")

    def _tell_held(self) -> None:
        held = self._throttle.take_held()
        if held:
            self.write(f"{self._stamp()} … {held} lines left out; the recording has all")


def _ended(trial: Trial, board: Board) -> str:
    names = [name for name in board.metrics if trial.metrics.get(name) is not None]
    shown = ", ".join(f"{text.clean(name)} {text.value(trial.metrics[name])}" for name in names)
    return f"trial {text.clean(trial.trial_id)} ended: {shown}" if shown else f"trial {trial.trial_id} ended"
