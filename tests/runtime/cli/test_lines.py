"""Lines for logs and pipes: one per finished trial, phase and message, at a limited rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun import events
from trialrun.cli.job_state import JobState
from trialrun.cli.lines import LineView, Throttle
from trialrun.trials import TrialReported, TrialStarted, TrialStatusChanged, TrialTable


class Shown(LineView):
    """A view that keeps its lines."""

    def __init__(self, clock: Any = lambda: 0.0) -> None:
        super().__init__(clock=clock, stamp=lambda: "12:00:00")
        self.state = JobState("score", "max", 4)
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line.removeprefix("12:00:00 "))


def _ended(count: int, status: str = "TERMINATED") -> Any:
    table = TrialTable("score", [])
    for number in range(count):
        table.apply(TrialStarted(trial_id=f"t{number}"))
        table.apply(TrialReported(trial_id=f"t{number}", metrics={"score": number / 3, "n": 2}))
        table.apply(TrialStatusChanged(trial_id=f"t{number}", status=status))
    return events.trials_delta_event(table.take_delta() or {})


@given(st.lists(st.floats(0, 2), max_size=300), st.integers(1, 20), st.floats(0.5, 10))
def test_a_throttle_keeps_its_rate(waits: list[float], burst: int, per_second: float) -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0], burst=burst, per_second=per_second)
    through = 0
    for wait in waits:
        now[0] += wait
        through += throttle.try_acquire()
    assert through <= burst + now[0] * per_second + 1e-6
    assert through >= min(burst, len(waits))
    assert through + throttle.pop_dropped_count() == len(waits)
    assert throttle.pop_dropped_count() == 0


def test_a_finished_trial_gets_one_line() -> None:
    view = Shown()
    view.on_event(_ended(2))
    view.on_event(_ended(2))
    assert view.lines == ["trial t0 ended: score 0, n 2 (1 of 4)", "trial t1 ended: score 0.3333, n 2 (2 of 4)"]


def test_a_failed_trial_has_its_message_alone() -> None:
    view = Shown()
    view.on_event(events.message_event("trial t0 failed: ValueError: no", "danger"))
    view.on_event(_ended(1, "ERROR"))
    assert view.lines == ["error: trial t0 failed: ValueError: no"]


def test_the_remaining_time_is_shown() -> None:
    view = Shown()
    view.on_event(events.progress_event("trials", 1, 4, 0.4, 90.0))
    view.on_event(_ended(1))
    assert view.lines == ["trial t0 ended: score 0, n 2 (1 of 4, about 1 min 30 s left)"]


def test_the_error_that_ends_the_job_is_not_printed_twice() -> None:
    view = Shown()
    view.on_event(events.message_event("train() raised", "danger"))
    view.on_event(events.status_event("FAILED", "train() raised"))
    view.on_event(events.message_event("the run is complete", "warning"))
    view.close()
    assert view.lines == []


def test_a_pending_error_is_printed_at_the_end() -> None:
    view = Shown()
    view.on_event(events.message_event("watch out", "danger"))
    view.close()
    assert view.lines == ["error: watch out"]


def test_a_message_of_a_trial_names_it() -> None:
    view = Shown()
    view.on_event(replace(events.message_event("warming up\nslowly"), trial_id="t1"))
    view.on_event(events.message_event("slow disk", "warning"))
    assert view.lines == ["trial t1: warming up | slowly", "warning: slow disk"]


def test_two_thousand_trials_do_not_flood() -> None:
    view = Shown()
    view.on_event(_ended(2_000))
    view.close()
    assert len(view.lines) == 41
    assert view.lines[-1] == "… 1960 lines omitted; the recording has them"


def test_a_phase_has_lines_at_its_start_steps_and_end() -> None:
    now = [0.0]
    view = Shown(lambda: now[0])
    view.state = JobState()
    view.on_event(events.metric_event("train", "loss", 0.25))
    for step in range(101):
        now[0] += 0.2
        view.on_event(events.progress_event("train", step, 100, 0.0, None))
        view.on_event(events.progress_event("train", step, 100, 0.0, None))
    steps = [0, *range(10, 100, 10), 100]
    assert view.lines == [f"train {step}%: train/loss 0.25" for step in steps]


@given(st.text(), st.sampled_from(["info", "warning", "danger"]))
def test_no_line_controls_the_terminal(content: str, context: str) -> None:
    view = Shown()
    view.on_event(events.message_event(content, context))
    view.on_event(events.progress_event(content, 1, 2, 0.5, None))
    view.warn(content)
    view.close()
    assert all(character.isprintable() or character == "\u200d" for line in view.lines for character in line)


def test_a_reader_that_left_does_not_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        calls = 0

        def write(self, text: str) -> int:
            self.calls += 1
            raise BrokenPipeError(32, "Broken pipe")

        def flush(self) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    gone = Gone()
    monkeypatch.setattr("sys.stderr", gone)
    view = LineView()
    view.warn("one")
    tried = gone.calls
    view.warn("two")
    assert gone.calls == tried > 0
