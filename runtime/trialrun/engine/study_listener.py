"""The study's listener: keeps the trial table, the progress, and sends models off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trialrun import events
from trialrun.engine.event_bus import EventBus
from trialrun.engine.uploads import ModelUploads
from trialrun.run_dir.history import INTERRUPTED, StudyHistory, TrialOutcome
from trialrun.run_dir.journal import Journal
from trialrun.trials import Coalescer, TrialReported, TrialStarted, TrialStatusChanged, TrialTable
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.results import TrialStatus

__all__ = ["StudyListener"]

_DELTA_INTERVAL_S = 0.2  # seconds


class StudyListener:
    """Every change of a trial becomes a change of the table; rows go out as deltas, or whole for a platform.

    Our recorder takes deltas. The platform's API knows only whole tables: they are coalesced, newest wins.
    """

    def __init__(
        self,
        table: TrialTable,
        bus: EventBus,
        uploads: ModelUploads,
        *,
        total: int,
        whole_tables: bool,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._bus = bus
        self._uploads = uploads
        self._total = total
        self._journal = journal
        self._coalescer = Coalescer(clock) if whole_tables else None
        self._clock = clock
        self._sent = -_DELTA_INTERVAL_S
        self._whole_due = False
        self._running = False
        self._finished = 0
        self._lock = threading.RLock()
        self.warnings: list[str] = []

    def restore_history(self, history: StudyHistory, resumed: Sequence[str]) -> None:
        """Take up the table where an earlier run left it."""
        with self._lock:
            for trial_id, config in history.configs.items():
                self._table.apply(TrialStarted(trial_id=trial_id, config=config))
                outcome = history.outcomes.get(trial_id)
                if outcome is not None and trial_id not in resumed:
                    self._table.apply(TrialReported(trial_id=trial_id, metrics=_drop_output_path(outcome.metrics)))
                    self._table.apply(TrialStatusChanged(trial_id=trial_id, status=outcome.status))
                    self._finished += 1
            self._running = bool(self._finished)
            if self._running:
                self._bus.emit_progress("trials", self._finished, max(self._total, self._finished))
            self.tick()

    def on_start(self, trial_id: str, config: Mapping[str, Any]) -> None:
        if self._journal is not None:
            self._journal.record_trial(trial_id, config)
        with self._lock:
            self._table.apply(TrialStarted(trial_id=trial_id, config=config))
            self.tick()

    def on_status(self, trial_id: str, status: TrialStatus) -> None:
        with self._lock:
            if status == "RUNNING" and not self._running:
                self._running = True
                self._bus.emit_progress("trials", 0, self._total)
            self._table.apply(TrialStatusChanged(trial_id=trial_id, status=status))
            self.tick()

    def on_report(self, trial_id: str, iteration: int, metrics: Mapping[str, Any]) -> None:
        shown = _drop_output_path(metrics)
        with self._lock:
            self._table.apply(TrialReported(trial_id=trial_id, metrics=shown))
            self._bus.emit(events.trial_result_event(trial_id, iteration, shown))
            self.tick()

    def on_end(self, outcome: TrialOutcome) -> None:
        if self._journal is not None:
            self._journal.record_outcome(outcome)
        with self._lock:
            self._finished += 1
            self._bus.emit_progress("trials", self._finished, max(self._total, self._finished))
            if outcome.error:
                self._bus.emit_message(f"trial {outcome.trial_id} failed: {outcome.error}", "danger")
                self._bus.emit(_build_failure_event(outcome))
            elif outcome.status == "TERMINATED" and outcome.metrics and outcome.ended_by != INTERRUPTED:
                self._uploads.add(outcome)
            if outcome.ended_by:
                self._bus.emit_message(f"trial {outcome.trial_id} was ended by {outcome.ended_by}")
            self.tick()

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self._bus.emit_message(text, "warning")

    def tick(self) -> None:
        """Send what is due; called after every change and, by executors that wait, from time to time."""
        with self._lock:
            now = self._clock()
            if now - self._sent >= _DELTA_INTERVAL_S:
                self._send_delta()
            whole = self._coalescer
            if whole is not None and self._whole_due and whole.try_acquire(now, len(self._table.rows)):
                self._whole_due = False
                self._bus.emit(events.trials_event(self._table.snapshot()))

    def flush(self, best_trial: str = "") -> dict[str, Any]:
        """The last state always arrives: what is left of the deltas, and the whole table."""
        with self._lock:
            self._send_delta()
            table = self._table.snapshot(best_trial)
            self._bus.emit(events.trials_event(table))
            return table

    def _send_delta(self) -> None:
        delta = self._table.take_delta()
        if delta is not None:
            self._sent = self._clock()
            self._whole_due = True
            self._bus.emit(events.trials_delta_event(delta))


def _drop_output_path(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key != "checkpoint_output"}


def _build_failure_event(outcome: TrialOutcome) -> Event:
    return events.failure_event(
        outcome.trial_id,
        error=outcome.error,
        cause=outcome.cause,
        traceback=outcome.traceback,
        node=outcome.node,
        stderr=outcome.stderr,
    )
