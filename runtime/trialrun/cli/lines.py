"""Plain lines for logs and pipes: one per finished trial, phase and message, at a limited rate."""

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
_STEPS = 10  # a phase gets a line at each tenth,
_PAUSE_S = 1.0  # but not more often than this
_POINTS = 3  # metrics in a line of training
_ENGINE_PHASES = ("dataset", "model_upload")


class Throttle:
    """A rate limit: `burst` lines at once, `per_second` in the long run. Lines over the limit are counted."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, burst: int = _BURST, per_second: float = _PER_SECOND
    ) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_second = per_second
        self._available = self._burst
        self._refilled_at = clock()
        self._dropped = 0

    def try_acquire(self) -> bool:
        """Return whether a line may be written now; False counts it as dropped."""
        now = self._clock()
        self._available = min(self._burst, self._available + (now - self._refilled_at) * self._per_second)
        self._refilled_at = now
        if self._available < 1.0:
            self._dropped += 1
            return False
        self._available -= 1.0
        return True

    def pop_dropped_count(self) -> int:
        """Return the number of lines dropped since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped


class LineView(View):
    """Lines such as `12:03:22 trial a1 ended: accuracy 0.95`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, stamp: Callable[[], str] = format_local_time
    ) -> None:
        super().__init__(clock)
        self._stamp = stamp
        self._throttle = Throttle(clock)
        self._ended: set[str] = set()
        self._phases: dict[str, tuple[float, float]] = {}
        self._pending_error: Event | None = None

    def show_heading(self, heading: list[str], advice: list[str]) -> None:
        for line in heading:
            self._print_line(line)
        for warning in advice:
            self.warn(warning)

    def warn(self, message: str) -> None:
        self._print_line(f"warning: {text.clean(message)}")

    def show_event(self, event: Event) -> None:
        self._flush_pending_error(event)
        if event.kind == "message" and not self.state.over:
            if event.data["context"] == "danger" and event.trial_id is None:
                self._pending_error = event
            else:
                self._print_message(event)
        elif event.kind in ("trials", "trials_delta") and event.trial_id is None:
            self._print_ended_trials(event.data["trials"])
        elif event.kind == "progress" and event.trial_id is None:
            self._print_progress(event.data)

    def close(self) -> None:
        self._flush_pending_error(None)
        self._print_dropped_count()

    def _flush_pending_error(self, event: Event | None) -> None:
        """Print the pending error, unless `event` is the job's status with the same error.

        A failed job reports its error as a message and in its status, and the command prints it at the end.
        """
        pending, self._pending_error = self._pending_error, None
        if pending is None:
            return
        if event is None or event.kind != "status" or event.data.get("error") != pending.data["content"]:
            self._print_message(pending)

    def _print_message(self, event: Event) -> None:
        context, content = event.data["context"], text.clean(event.data["content"])
        prefix = {"danger": "error: ", "warning": "warning: "}.get(context, "")
        self._print_line(f"trial {event.trial_id}: {prefix}{content}" if event.trial_id else f"{prefix}{content}")

    def _print_ended_trials(self, changed: Mapping[str, Any]) -> None:
        for trial_id in changed:
            trial = self.state.trials[trial_id]
            if trial.status in ENDED_STATUSES and trial_id not in self._ended:
                self._ended.add(trial_id)
                if trial.status == "TERMINATED":  # the engine reports a failed trial in a message
                    self._print_line(f"{_format_ended_trial(trial, self.state)} ({self._format_count()})")

    def _format_count(self) -> str:
        count = f"{len(self._ended)} of {self.state.total}" if self.state.total else str(len(self._ended))
        eta = self.state.eta_s
        return count if not eta or eta < 1 else f"{count}, about {text.format_duration(eta)} left"

    def _print_progress(self, data: Mapping[str, Any]) -> None:
        category, current, total = str(data["category"]), float(data["current"]), float(data["total"])
        if self.state.metric is not None and category in ("train", "trials"):
            return  # each trial has its own line
        fraction = 1.0 if current >= total else current / total
        if self._is_worth_printing(category, fraction):
            self._phases[category] = fraction, self.clock()
            latest = "" if category in _ENGINE_PHASES else self._format_latest_points()
            self._print_line(f"{text.clean(category) or 'progress'} {fraction:.0%}{latest}")

    def _is_worth_printing(self, category: str, fraction: float) -> bool:
        if category not in self._phases:
            return True
        last, at = self._phases[category]
        if fraction == 1.0:
            return last < 1.0
        return int(fraction * _STEPS) > int(last * _STEPS) and self.clock() - at >= _PAUSE_S

    def _format_latest_points(self) -> str:
        points = list(self.state.points.items())[-_POINTS:]
        shown = ", ".join(text.format_metric(name, point["value"]) for name, point in points)
        return f": {shown}" if shown else ""

    def _print_line(self, line: str) -> None:
        if self._throttle.try_acquire():
            self._print_dropped_count()
            self.write(f"{self._stamp()} {line}")

    def _print_dropped_count(self) -> None:
        dropped = self._throttle.pop_dropped_count()
        if dropped:
            self.write(f"{self._stamp()} … {dropped} lines omitted; the recording has them")


def _format_ended_trial(trial: TrialRow, state: JobState) -> str:
    names = [name for name in state.metrics if trial.metrics.get(name) is not None]
    shown = ", ".join(text.format_metric(name, trial.metrics[name]) for name in names)
    ending = f"trial {text.clean(trial.trial_id)} ended"
    return f"{ending}: {shown}" if shown else ending
