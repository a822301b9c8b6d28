"""Progress never goes backwards and is complete only at the end."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.progress import PHASES, Progress, training_progress, tuning_progress
from trialrun_hookspecs.errors import BadValue

Call = Callable[[Progress], float]

amounts = st.integers(0, 12) | st.floats(0, 1e300) | st.sampled_from([10**20 - 1, 10**20])
categories = st.sampled_from([*PHASES, "trials", "", "warm-up"])
calls: st.SearchStrategy[Call] = st.one_of(
    st.builds(
        lambda category, current, total, source: (
            lambda made: made.update_category(category, current, total, source=source)
        ),
        categories,
        amounts,
        amounts,
        st.sampled_from(["engine", "plugin"]),
    ),
    st.builds(lambda done, total: lambda made: made.update_trials(done, total), st.integers(0, 9), st.integers(0, 9)),
    st.just(lambda made: made.complete_train_phase()),
)
weights = st.dictionaries(st.sampled_from("abcde"), st.floats(1e-6, 1e6), min_size=1)


@given(st.sampled_from([training_progress, tuning_progress]), st.lists(calls, max_size=25))
def test_progress_is_monotone_under_any_calls(start: Callable[[], Progress], made_calls: list[Call]) -> None:
    progress = start()
    before, fractions = progress.overall_fraction, progress.category_fractions
    for call in made_calls:
        assert call(progress) == progress.overall_fraction
        assert 0.0 <= before <= progress.overall_fraction <= 1.0
        assert all(0.0 <= fraction <= progress.category_fractions[name] <= 1.0 for name, fraction in fractions.items())
        before, fractions = progress.overall_fraction, progress.category_fractions


@given(st.sampled_from([training_progress, tuning_progress]), st.lists(calls, max_size=25))
def test_progress_is_complete_only_when_every_phase_is(start: Callable[[], Progress], made_calls: list[Call]) -> None:
    progress = start()
    for call in made_calls:
        call(progress)
        assert (progress.overall_fraction == 1.0) == all(progress.category_fractions[phase] == 1.0 for phase in PHASES)


@given(weights, st.randoms(use_true_random=False))
def test_any_weights_in_any_order_end_at_exactly_one(drawn: dict[str, float], random: object) -> None:
    progress = Progress(drawn)
    for phase in sorted(drawn, reverse=True):
        assert progress.overall_fraction < 1.0
        progress.update_category(phase, 5, 5)
    assert progress.overall_fraction == 1.0


@given(weights, st.sampled_from([10**20, 10**300, 3]))
@example({"a": 1.0, "b": 1e6}, 10**20)
def test_one_step_short_is_not_done(drawn: dict[str, float], total: int) -> None:
    progress = Progress(drawn)
    for phase in list(drawn)[1:]:
        progress.update_category(phase, 0, 0)
    progress.update_category(next(iter(drawn)), total - 1, total)
    assert progress.overall_fraction < 1.0
    assert progress.update_category(next(iter(drawn)), total, total) == 1.0


def test_training_weighs_its_phases() -> None:
    progress = training_progress()
    assert progress.update_category("dataset", 1, 1) == pytest.approx(0.20)
    assert progress.update_category("train", 5, 10) == pytest.approx(0.20 + 0.375)
    assert progress.update_category("train", 10, 10) == pytest.approx(0.95)
    assert progress.update_category("model_upload", 1, 1) == 1.0


def test_in_tuning_trials_drive_train() -> None:
    progress = tuning_progress()
    progress.update_category("dataset", 1, 1)
    assert progress.update_trials(5, 10) == pytest.approx(0.20 + 0.75 * 0.45)
    assert progress.update_trials(10, 10) == pytest.approx(0.20 + 0.75 * 0.9)
    assert progress.complete_train_phase() == pytest.approx(0.95)
    assert progress.category_fractions["trials"] == 1.0


@pytest.mark.parametrize("category", ["train", "trials"])
def test_in_tuning_a_plugins_own_training_is_ignored(category: str) -> None:
    progress = tuning_progress()
    before = progress.category_fractions
    assert progress.update_category(category, 1, 1, source="plugin") == 0.0
    assert progress.category_fractions == before


def test_in_tuning_the_engines_own_training_counts() -> None:
    assert tuning_progress().update_category("train", 1, 1) == pytest.approx(0.75)


def test_an_endless_estimate_is_none() -> None:
    progress = Progress({"work": 1})
    progress.estimate_eta(0.0)
    progress.update_category("work", 1e-308, 1)
    assert progress.estimate_eta(1e6) is None


def test_in_training_a_plugins_own_training_counts() -> None:
    assert training_progress().update_category("train", 1, 1, source="plugin") == pytest.approx(0.75)


def test_unknown_categories_are_kept_without_weight() -> None:
    progress = training_progress()
    assert progress.update_category("warm-up", 1, 2) == 0.0
    assert progress.category_fractions == {"dataset": 0.0, "train": 0.0, "model_upload": 0.0, "warm-up": 0.5}


def test_zero_of_zero_is_done() -> None:
    assert training_progress().update_category("dataset", 0, 0) == pytest.approx(0.20)


@pytest.mark.parametrize(("current", "total"), [(-1, 5), (1, -5), (math.nan, 1), (1, math.inf), (True, 1), ("1", 2)])
def test_numbers_that_are_no_amount_are_refused(current: float, total: float) -> None:
    progress = training_progress()
    with pytest.raises(BadValue, match="train"):
        progress.update_category("train", current, total)
    assert progress.overall_fraction == 0.0


@pytest.mark.parametrize("phases", [{}, {"a": 0.0}, {"a": -1.0}, {"a": math.nan}, {"a": math.inf}])
def test_weights_that_weigh_nothing_are_refused(phases: dict[str, float]) -> None:
    with pytest.raises(BadValue, match="weights"):
        Progress(phases)


def test_time_remaining_follows_the_phase_under_way() -> None:
    progress = Progress({"load": 20, "work": 80})
    assert progress.estimate_eta(0.0) is None
    progress.update_category("load", 1, 2)
    assert progress.estimate_eta(1.0) == pytest.approx(9.0)
    progress.update_category("load", 2, 2)
    assert progress.estimate_eta(2.0) is None  # loading says nothing of working
    progress.update_category("work", 1, 4)
    assert progress.estimate_eta(102.0) == pytest.approx(300.0)
    progress.update_category("work", 4, 4)
    assert progress.estimate_eta(400.0) == 0.0


@given(st.lists(st.tuples(calls, st.floats(0, 1e6)), max_size=20))
def test_time_remaining_is_never_negative(steps: list[tuple[Call, float]]) -> None:
    progress, now = tuning_progress(), 0.0
    for call, later in steps:
        call(progress)
        now += later
        eta = progress.estimate_eta(now)
        assert eta is None or (eta >= 0.0 and math.isfinite(eta))
        assert (eta == 0.0) == (progress.overall_fraction == 1.0)


def test_a_clock_that_stands_still_gives_no_estimate() -> None:
    progress = training_progress()
    progress.estimate_eta(1.0)
    progress.update_category("dataset", 1, 2)
    assert progress.estimate_eta(1.0) is None
