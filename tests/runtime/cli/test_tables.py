"""Tables fit the terminal, and show the names of a plugin unchanged."""

from __future__ import annotations

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from trialrun import events
from trialrun.cli.job_state import JobState
from trialrun.cli.tables import build_point_table, build_trial_table, count_fitting_columns
from trialrun.trials import TrialReported, TrialStarted, TrialStatusChanged, TrialTable


def _state_of(count: int, hyperparameters: int = 2) -> JobState:
    names = [f"parameter_{n}" for n in range(hyperparameters)]
    table = TrialTable("score", names)
    for number in range(count):
        table.apply(TrialStarted(trial_id=f"trial_{number:05d}", config=dict.fromkeys(names, 1 / 3)))
        table.apply(TrialReported(trial_id=f"trial_{number:05d}", metrics={"score": number, "[bold]loss[/bold]": 0.5}))
        table.apply(TrialStatusChanged(trial_id=f"trial_{number:05d}", status="TERMINATED"))
    state = JobState("score", "max", count)
    state.apply_event(events.trials_event(table.snapshot()))
    return state


def _shown(table: RenderableType, width: int = 200) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, height=50, color_system=None).print(table)
    return out.getvalue().splitlines()


@given(st.integers(1, 30), st.integers(0, 12), st.integers(2, 40), st.integers(40, 200))
def test_a_table_fits_where_it_is_shown(trials: int, hyperparameters: int, lines: int, width: int) -> None:
    shown = _shown(build_trial_table(_state_of(trials, hyperparameters), width, lines), width)
    assert len(shown) <= max(lines, 3)
    assert all(cell_len(line.rstrip()) <= width for line in shown)
    assert "trial_" in shown[1]


def test_the_best_is_marked_at_the_top() -> None:
    header, first, *_ = _shown(build_trial_table(_state_of(3), 200, 10))
    assert header.split() == ["trial", "status", "score", "parameter_0", "parameter_1", "[bold]loss[/bold]"]
    assert first.split() == ["★", "trial_00002", "TERMINATED", "2", "0.3333", "0.3333", "0.5"]


def test_rows_that_do_not_fit_are_counted() -> None:
    shown = _shown(build_trial_table(_state_of(30), 200, 10))
    assert len(shown) == 10
    assert shown[-1].strip() == "22 more"


@given(st.lists(st.integers(1, 30), min_size=1), st.integers(0, 5), st.integers(1, 100))
def test_columns_are_dropped_from_the_right_only_where_they_do_not_fit(
    widths: list[int], needed: int, room: int
) -> None:
    count = count_fitting_columns(widths, needed, room)
    assert min(needed, len(widths)) <= count <= len(widths)
    if count > needed:
        assert sum(widths[:count]) + 2 * (count - 1) <= room
    if count < len(widths):
        assert sum(widths[: count + 1]) + 2 * count > room


def test_the_last_points_of_a_training_are_shown_with_what_came_beside_them() -> None:
    points = {f"train/m{n}": {"value": n, "metrics": {"epoch": 3}} for n in range(9)}
    shown = [line.split() for line in _shown(build_point_table(points, 3))]
    assert shown == [["metric", "value"], ["train/m7", "7", "epoch", "3"], ["train/m8", "8", "epoch", "3"]]
