"""The return of tune() becomes metrics or a named refusal; the best trial is the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.outcomes import (
    Mode,
    check_objective,
    find_best_trial,
    is_better,
    merge_metrics,
    normalize_metrics,
    objective_value,
)
from trialrun_hookspecs.errors import BadValue, ObjectiveMissing

keys = st.sampled_from(["loss", "acc", "val/loss", "epoch"])
cells = st.integers(-3, 3) | st.floats(width=16) | st.booleans() | st.sampled_from(["a", "b"]) | st.none()
flat_metrics = st.dictionaries(keys, cells, max_size=4)
modes: st.SearchStrategy[Mode] = st.sampled_from(["max", "min"])


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN equals itself here


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (0.0, {"score": 0.0}),
        (0, {"score": 0}),
        (np.float32(0.5), {"score": 0.5}),
        (np.array(2), {"score": 2}),
        ({}, {}),
        ({"score": 1, "val": {"loss": np.float64(2.0)}}, {"score": 1, "val/loss": 2.0}),
        (
            {"checkpoint_output": Path("a/b"), "note": "x", "ok": True},
            {"checkpoint_output": "a/b", "note": "x", "ok": True},
        ),
    ],
)
def test_what_tune_may_return_becomes_metrics(value: Any, expected: Any) -> None:
    made = normalize_metrics(value, "score")
    assert made == expected
    assert [type(cell) for cell in (made or {}).values()] == [type(cell) for cell in (expected or {}).values()]


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_left_to_the_objective_check(value: float) -> None:
    made = normalize_metrics(value, "score")
    assert made is not None
    with pytest.raises(ObjectiveMissing, match="finite"):
        check_objective(made, "score", "a1")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (np.True_, "bool"),
        ("0.5", "str"),
        ([1.0], "list"),
        (np.zeros(2), "ndarray"),
        (object(), "object"),
    ],
)
def test_what_tune_may_not_return_is_refused_by_type(value: Any, kind: str) -> None:
    with pytest.raises(BadValue, match=kind):
        normalize_metrics(value, "score")


def test_a_returned_dict_with_odd_values_is_refused_by_name() -> None:
    with pytest.raises(BadValue, match="weights"):
        normalize_metrics({"score": 1.0, "weights": np.zeros(2)}, "score")


@given(flat_metrics)
def test_returning_nothing_adds_nothing(reported: dict[str, Any]) -> None:
    assert merge_metrics(reported, None) is None
    assert merge_metrics(reported, {}) is None


@given(flat_metrics)
@example({"loss": math.nan})
def test_returning_what_was_reported_adds_nothing(reported: dict[str, Any]) -> None:
    assert merge_metrics(reported, dict(reported)) is None


@given(flat_metrics, flat_metrics)
def test_the_return_wins(reported: dict[str, Any], returned: dict[str, Any]) -> None:
    made = merge_metrics(reported, returned)
    if made is not None:
        assert all(_same(made[name], value) for name, value in returned.items())
        assert all(_same(made[name], value) for name, value in reported.items() if name not in returned)
        assert set(made) == {*reported, *returned}


@given(flat_metrics, flat_metrics)
def test_merging_adds_exactly_what_is_new(reported: dict[str, Any], returned: dict[str, Any]) -> None:
    def differs(name: str, value: Any) -> bool:
        old = reported.get(name, ...)
        both_nan = value != value and old != old
        return not both_nan and (isinstance(old, bool) != isinstance(value, bool) or old != value)

    assert (merge_metrics(reported, returned) is not None) == any(differs(*item) for item in returned.items())


@given(flat_metrics, flat_metrics)
def test_merging_twice_adds_nothing(reported: dict[str, Any], returned: dict[str, Any]) -> None:
    made = merge_metrics(reported, returned)
    assert made is None or merge_metrics(made, returned) is None


def test_true_is_not_one() -> None:
    assert merge_metrics({"score": 1}, {"score": True}) == {"score": True}


def test_nested_reports_merge_by_flat_name() -> None:
    assert merge_metrics({"val": {"loss": 1, "acc": 2}}, {"val/loss": 1}) is None
    assert merge_metrics({"val": {"loss": 1, "acc": 2}}, {"val/loss": 0}) == {"val/loss": 0, "val/acc": 2}


def test_a_report_that_holds_an_array_merges() -> None:
    made = merge_metrics({"weights": np.zeros(2)}, {"weights": 1.0})
    assert made == {"weights": 1.0}


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (0.0, 0.0), (-1.5, -1.5), (np.int64(3), 3), (np.float32(0.5), 0.5)]
)
def test_a_finite_objective_is_given_back(value: Any, expected: float) -> None:
    assert check_objective({"score": value}, "score", "a1") == expected


def test_a_nested_objective_is_found() -> None:
    assert check_objective({"val": {"acc": 0.5}}, "val/acc", "a1") == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1.0", None, [1.0], {"a": 1}])
def test_an_objective_that_is_no_finite_number_is_an_error_of_that_trial(value: Any) -> None:
    with pytest.raises(ObjectiveMissing, match="a1") as missing:
        check_objective({"score": value, "loss": 1.0}, "score", "a1")
    assert "score" in str(missing.value)


def test_an_absent_objective_is_told_from_what_was_reported() -> None:
    with pytest.raises(ObjectiveMissing) as missing:
        check_objective(
            {"validation_acc": 1, "loss": 2, "time_total_s": 3, "config/lr": 1}, "validation_accuracy", "a1"
        )
    problem = missing.value.problems[0]
    assert problem.got == "only validation_acc, loss"
    assert "Did you mean 'validation_acc'?" in problem.fix


def test_no_report_at_all_is_said() -> None:
    with pytest.raises(ObjectiveMissing, match="no metrics"):
        check_objective({"done": True, "trial_id": "a1"}, "score", "a1")


scores = st.integers(-2, 2) | st.sampled_from([0.5, math.nan, math.inf, -math.inf, True, "1", None])
statuses = st.sampled_from(["TERMINATED", "ERROR", "RUNNING"])
outcomes = st.lists(st.tuples(statuses, st.fixed_dictionaries({}, optional={"score": scores})), max_size=8)


@given(outcomes, modes)
def test_best_agrees_with_brute_force(drawn: list[tuple[str, dict[str, Any]]], mode: Mode) -> None:
    trials = [(f"t{number}", status, metrics) for number, (status, metrics) in enumerate(drawn)]
    worth = {
        trial_id: metrics["score"]
        for trial_id, status, metrics in trials
        if status != "ERROR" and type(metrics.get("score")) in (int, float) and math.isfinite(metrics["score"])
    }
    record = (max if mode == "max" else min)(worth.values(), default=None)
    expected = next((trial_id for trial_id, value in worth.items() if value == record), None)
    assert find_best_trial(trials, "score", mode) == expected


@given(outcomes)
def test_the_best_by_max_is_the_best_of_the_negated_by_min(drawn: list[tuple[str, dict[str, Any]]]) -> None:
    def negated(metrics: dict[str, Any]) -> dict[str, Any]:
        score = metrics.get("score")
        return {"score": -score} if isinstance(score, int | float) and not isinstance(score, bool) else metrics

    up = [(str(number), *row) for number, row in enumerate(drawn)]
    down = [(trial_id, status, negated(metrics)) for trial_id, status, metrics in up]
    assert find_best_trial(up, "score", "max") == find_best_trial(down, "score", "min")


def test_objective_is_none_for_what_cannot_win() -> None:
    assert objective_value({"score": math.nan}, "score") is None
    assert objective_value({}, "score") is None
    assert objective_value({"score": 0}, "score") == 0


def test_a_value_must_beat_another_by_more_than_the_delta() -> None:
    assert is_better(1.2, 1.0, "max", 0.1)
    assert not is_better(1.2, 1.0, "max", 0.5)
    assert is_better(1.0, None, "min")
    assert not is_better(1.0, 1.0, "min")
