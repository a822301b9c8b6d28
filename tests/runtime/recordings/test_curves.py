"""Tests of `trialrun.recordings.curves`."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recorder.store import Store
from trialrun.recordings import curves
from trialrun.recordings.curves import Curves, downsample_indices

from .a_study import send

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=300)
MOST = st.integers(1, 100)


@given(VALUES, MOST)
@example([0.0, 5.0, 0.0, 0.0, 0.0], 3)
def test_thinning_keeps_the_extremes(values: list[float], most: int) -> None:
    kept = [values[index] for index in downsample_indices(values, most)]
    assert not values or (min(kept), max(kept), kept[0], kept[-1]) == (min(values), max(values), values[0], values[-1])


@given(VALUES, MOST)
def test_thinning_keeps_the_order(values: list[float], most: int) -> None:
    assert all(one < other for one, other in pairwise(downsample_indices(values, most)))


@given(VALUES, MOST)
def test_thinning_leaves_few_points(values: list[float], most: int) -> None:
    assert len(downsample_indices(values, most)) <= max(most, 4)


@given(VALUES, MOST)
def test_thinning_keeps_the_extremes_of_every_stretch(values: list[float], most: int) -> None:
    kept, stretches = set(downsample_indices(values, most)), max((most - 2) // 2, 1)
    for number in range(stretches):
        stretch = range(number * len(values) // stretches, (number + 1) * len(values) // stretches)
        shown = [values[index] for index in stretch if index in kept]
        if shown:
            assert (min(shown), max(shown)) == (min(values[i] for i in stretch), max(values[i] for i in stretch))


def test_a_line_goes_on_where_it_was_read_to(study: Recorder) -> None:
    store = Store(study.path, readonly=True)
    lines = Curves(store)
    assert list(lines.load_line(1, "a", "trial_result", "loss").values) == [1, 0.5, 1 / 3]
    send(study, "trial_result", {"trial_id": "a", "iteration": 9, "metrics": {"loss": 0.1}})
    line = lines.load_line(1, "a", "trial_result", "loss")
    assert (list(line.steps), line.values[-1]) == ([1, 2, 3, 9], 0.1)
    store.close()


@pytest.mark.parametrize(
    ("metrics", "more", "step"),
    [({"epoch": 7}, {}, 7), ({"step": 8, "epoch": 7}, {}, 8), ({}, {"step": 9}, 9), ({}, {}, 1)],
)
def test_a_logged_metric_stands_at_its_step(
    study: Recorder, metrics: dict[str, int], more: dict[str, int], step: int
) -> None:
    send(study, "metric", {"category": "train", "key": "f1", "value": 0.5, "metrics": metrics}, **more)
    store = Store(study.path, readonly=True)
    assert list(Curves(store).load_line(1, None, "metric", "train/f1").steps) == [step]
    store.close()


def test_what_is_no_number_is_left_out(study: Recorder) -> None:
    for value in (None, True, "1", 10**400, {"nested": 2}):
        send(study, "trial_result", {"trial_id": "z", "iteration": 1, "metrics": {"odd": value}})
    store = Store(study.path, readonly=True)
    lines = Curves(store)
    assert not lines.load_line(1, "z", "trial_result", "odd").values
    assert list(lines.load_line(1, "z", "trial_result", "odd/nested").values) == [2]
    store.close()


def test_memory_is_bounded(study: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MOST_KEPT", 4)
    store = Store(study.path, readonly=True)
    lines = Curves(store)
    for trial in "abcabc":
        assert len(lines.load_line(1, trial, "trial_result", "loss").values) == 3
        assert len(lines._tracks) <= 2
    store.close()


def test_a_trial_that_goes_on_is_drawn_without_what_it_does_again(study: Recorder) -> None:
    store = Store(study.path, readonly=True)
    lines = Curves(store)
    assert list(lines.load_line(1, "a", "trial_result", "loss").steps) == [1, 2, 3]
    send(study, "resumed", {"trial_id": "a", "attempt": 1, "iteration": 1, "prefix": "run-a-", "after": None})
    send(study, "trial_result", {"trial_id": "a", "iteration": 2, "metrics": {"loss": 0.25}})
    line = lines.load_line(1, "a", "trial_result", "loss")
    assert (list(line.steps), list(line.values)) == ([1, 2], [1, 0.25])
    store.close()
