"""Fields that a trial does not report are added, as Tune does."""

from __future__ import annotations

from trialrun.executors.result_fields import TrialClock


def test_times_are_counted_from_report_to_report() -> None:
    times = iter([100.0, 101.0, 104.0])
    clock = TrialClock("t", lambda: next(times))
    first, second = clock.build_fields(5, {}), clock.build_fields(6, {})
    assert [r["time_this_iter_s"] for r in (first, second)] == [1.0, 3.0]
    assert [r["time_total_s"] for r in (first, second)] == [1.0, 4.0]
    assert [r["iterations_since_restore"] for r in (first, second)] == [1, 2]
    assert [r["training_iteration"] for r in (first, second)] == [5, 6]


def test_totals_are_kept_of_what_is_counted_per_report() -> None:
    clock = TrialClock("t")
    assert "timesteps_total" not in clock.build_fields(1, {})
    clock.build_fields(2, {"timesteps_this_iter": 10, "episodes_this_iter": 1})
    result = clock.build_fields(3, {"timesteps_this_iter": 5})
    assert result["timesteps_total"] == 15
    assert "episodes_total" not in result
