"""The trial table: which columns there are, what a cell may be, tables made by hand, and how often they may go out."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.trials import (
    RESULT_KEYS,
    TRIAL_STATUSES,
    Coalescer,
    TrialReported,
    TrialStarted,
    TrialStatusChanged,
    TrialTable,
    merge_delta,
    normalize_payload,
    normalize_table,
)
from trialrun_hookspecs.errors import BadValue


def _table(*reports: Mapping[str, Any], config: Mapping[str, Any] | None = None, metric: str = "acc") -> TrialTable:
    table = TrialTable(metric)
    table.apply(TrialStarted(trial_id="a1", config=config or {}))
    for metrics in reports:
        table.apply(TrialReported(trial_id="a1", metrics=metrics))
    return table


def _row(table: TrialTable) -> dict[str, Any]:
    row: dict[str, Any] = table.snapshot()["trials"]["a1"]
    return row


def test_a_snapshot_is_the_platforms_payload() -> None:
    table = TrialTable("acc", ["lr", "units"])
    table.apply(TrialStarted(trial_id="a1", config={"lr": 0.1, "units": 8}))
    table.apply(TrialReported(trial_id="a1", metrics={"loss": 2, "acc": 0.5}))
    table.apply(TrialStatusChanged(trial_id="a1", status="TERMINATED"))
    table.apply(TrialStatusChanged(trial_id="a2", status="PENDING"))
    assert table.snapshot(best_trial="a1") == {
        "base": ["trial_id", "status"],
        "hyperparameters": ["lr", "units"],
        "metrics": ["acc", "loss"],
        "best_trial": "a1",
        "trials": {
            "a1": {"base": ["a1", "TERMINATED"], "hyperparameters": [0.1, 8], "metrics": [0.5, 2]},
            "a2": {"base": ["a2", "PENDING"], "hyperparameters": [None, None], "metrics": [None, None]},
        },
    }


def test_the_objective_is_the_first_column_before_it_is_seen() -> None:
    assert _table({"loss": 1}).metric_columns == ["acc", "loss"]


def test_columns_stand_in_the_order_of_first_sight() -> None:
    table = TrialTable("acc", ["units"])
    table.apply(TrialStarted(trial_id="a1", config={"lr": 1, "units": 2}))
    table.apply(TrialStarted(trial_id="a2", config={"optimizer": "adam"}))
    table.apply(TrialReported(trial_id="a2", metrics={"z": 1, "b": 1}))
    table.apply(TrialReported(trial_id="a1", metrics={"a": 1, "acc": 1}))
    assert table.hyperparameter_columns == ["units", "lr", "optimizer"]
    assert table.metric_columns == ["acc", "z", "b", "a"]


def test_metrics_after_the_fourth_stay_out_of_the_payload_only() -> None:
    table = _table({"a": 1, "b": 2, "c": 3, "d": 4})
    assert table.metric_columns == ["acc", "a", "b", "c"]
    assert table.rows["a1"].metrics == {"a": 1, "b": 2, "c": 3, "d": 4}
    delta = table.take_delta()
    assert delta is not None
    assert delta["trials"]["a1"]["all_metrics"] == {"a": 1, "b": 2, "c": 3, "d": 4}


@pytest.mark.parametrize("key", sorted({*RESULT_KEYS, "config/lr"}))
def test_rays_own_keys_are_never_columns(key: str) -> None:
    assert _table({key: 1, "loss": 2}).metric_columns == ["acc", "loss"]


def test_rays_own_key_is_a_column_when_it_is_the_objective() -> None:
    table = _table({"time_total_s": 1.5, "training_iteration": 1}, metric="time_total_s")
    assert (table.metric_columns, _row(table)["metrics"]) == (["time_total_s"], [1.5])


def test_nested_names_are_flat_columns() -> None:
    table = _table({"val": {"loss": 1, "top": {"5": 2}}}, config={"optimizer": {"lr": 0.1, "name": "adam"}})
    assert table.hyperparameter_columns == ["optimizer/lr", "optimizer/name"]
    assert table.metric_columns == ["acc", "val/loss", "val/top/5"]


def test_a_metric_keeps_its_type() -> None:
    metrics = _table({"acc": 1, "b": 1.0, "c": np.int32(2), "d": np.float32(0.5)}).rows["a1"].metrics
    assert [(value, type(value)) for value in metrics.values()] == [(1, int), (1.0, float), (2, int), (0.5, float)]


@pytest.mark.parametrize(
    "value", ["0.5", True, np.True_, None, [1.0], b"x", np.zeros(3), object(), 10**400, {"x": "y"}]
)
def test_what_is_no_number_is_no_metric(value: Any) -> None:
    table = _table({"acc": 0.5}, {"acc": value, "other": value})
    assert table.metric_columns == ["acc"]
    assert _row(table)["metrics"] == [0.5]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("adam", "adam"),
        (True, True),
        (3, 3),
        (np.float64(0.5), 0.5),
        (None, None),
        ([1, (2, np.int8(3))], [1, [2, 3]]),
        ([math.nan], [None]),
        (object(), "<object>"),
        (b"x", "<bytes>"),
    ],
)
def test_a_hyperparameter_may_be_anything(value: Any, shown: Any) -> None:
    cells = _row(_table(config={"p": value}))["hyperparameters"]
    assert cells == [shown]
    assert type(cells[0]) is type(shown)


def test_what_is_not_finite_is_null_with_a_flag() -> None:
    table = _table({"acc": math.nan, "a": math.inf, "b": -math.inf, "c": 1}, config={"lr": math.inf, "units": 1})
    row = _row(table)
    assert (row["hyperparameters"], row["metrics"]) == ([None, 1], [None, None, None, 1])
    assert row["nonfinite"] == {"lr": "inf", "acc": "nan", "a": "inf", "b": "-inf"}
    table.apply(TrialReported(trial_id="a1", metrics={"acc": 1, "a": 1, "b": 1}))
    table.apply(TrialStarted(trial_id="a1", config={"lr": 1}))
    assert "nonfinite" not in _row(table)


def test_a_report_keeps_what_it_leaves_out() -> None:
    assert _row(_table({"acc": 1, "loss": 5}, {"acc": 2}))["metrics"] == [2, 5]


def test_a_restart_replaces_the_config() -> None:
    table = _table(config={"lr": 1, "units": 2})
    table.apply(TrialStarted(trial_id="a1", config={"lr": 3}))
    assert _row(table)["hyperparameters"] == [3, None]


def test_an_unknown_status_is_refused_without_a_trace() -> None:
    table = TrialTable("acc")
    with pytest.raises(BadValue, match="PENDING"):
        table.apply(TrialStatusChanged(trial_id="a1", status="DONE"))
    assert table.snapshot()["trials"] == {}
    assert table.take_delta() is None
    assert sum(table.status_counts().values()) == 0


def test_a_first_report_means_that_the_trial_runs() -> None:
    table = TrialTable("acc")
    table.apply(TrialReported(trial_id="a1", metrics={}))
    assert table.status_counts()["RUNNING"] == 1


def test_a_snapshot_shares_nothing_with_the_table() -> None:
    table = _table({"acc": 1}, config={"layers": [1, 2]})
    before = table.snapshot()
    kept = copy.deepcopy(before)
    before["trials"]["a1"]["hyperparameters"][0].append(3)
    before["metrics"].append("mine")
    assert table.snapshot() == kept


def test_rows_can_be_read_but_not_replaced() -> None:
    rows = _table({"acc": 1}).rows
    with pytest.raises(TypeError):
        rows["a1"] = rows["a1"]  # type: ignore[index]  # that it is refused is the claim


def test_a_delta_holds_only_what_changed_since_the_last() -> None:
    table = _table({"acc": 1})
    table.apply(TrialStarted(trial_id="a2", config={}))
    table.take_delta()
    assert table.take_delta() is None
    table.apply(TrialStatusChanged(trial_id="a2", status="ERROR"))
    delta = table.take_delta()
    assert delta is not None
    assert list(delta["trials"]) == ["a2"]


def test_a_change_costs_the_same_at_any_number_of_trials() -> None:
    """Counted, not timed: what a change touches is its own row."""
    table = TrialTable("acc", ["lr"])
    for number in range(2_000):
        table.apply(TrialStarted(trial_id=f"t{number}", config={"lr": number}))
    table.take_delta()
    others = {trial_id: (row, dict(row.metrics)) for trial_id, row in table.rows.items() if trial_id != "t7"}
    table.apply(TrialReported(trial_id="t7", metrics={"acc": 1.0}))
    delta = table.take_delta()
    assert delta is not None
    assert list(delta["trials"]) == ["t7"]
    assert all(table.rows[trial_id] is row and row.metrics == metrics for trial_id, (row, metrics) in others.items())


def test_a_merged_delta_leaves_the_old_payload_alone() -> None:
    table = _table({"acc": 1})
    table.take_delta()
    old = table.snapshot()
    kept = copy.deepcopy(old)
    table.apply(TrialReported(trial_id="a1", metrics={"loss": math.nan}))
    delta = table.take_delta()
    assert delta is not None
    assert merge_delta(old, delta) == table.snapshot()
    assert old == kept


SEED_ROWS = {
    "trial_001": {"status": "RUNNING", "batch_size": 32, "learning_rate": 0.001, "accuracy": 0.85},
    "trial_002": {"status": "TERMINATED", "batch_size": 64, "learning_rate": 0.0001, "accuracy": 0.87},
}
SEED_PAYLOAD = {
    "base": ["trial_id", "status"],
    "hyperparameters": ["batch_size", "learning_rate"],
    "metrics": ["accuracy"],
    "best_trial": "",
    "trials": {
        "trial_001": {"base": ["trial_001", "RUNNING"], "hyperparameters": [32, 0.001], "metrics": [0.85]},
        "trial_002": {"base": ["trial_002", "TERMINATED"], "hyperparameters": [64, 0.0001], "metrics": [0.87]},
    },
}
HYPERPARAMETERS = ["batch_size", "learning_rate"]


@pytest.mark.parametrize("base", [["status"], ["trial_id", "status"], None])
def test_flat_rows_become_the_payload(base: list[str] | None) -> None:
    assert normalize_table(SEED_ROWS, base=base, hyperparameters=HYPERPARAMETERS, metrics=["accuracy"]) == SEED_PAYLOAD


def test_one_kind_of_column_may_be_left_out() -> None:
    assert normalize_table(SEED_ROWS, hyperparameters=HYPERPARAMETERS) == SEED_PAYLOAD
    assert normalize_table(SEED_ROWS, metrics=["accuracy"]) == SEED_PAYLOAD


def test_positional_rows_get_their_id_in_front() -> None:
    rows = {"a": {"base": ["RUNNING"], "hyperparameters": [1], "metrics": [2]}}
    made = normalize_table(rows, base=["status"], hyperparameters=["lr"], metrics=["acc"])
    assert made["base"] == ["trial_id", "status"]
    assert made["trials"]["a"]["base"] == ["a", "RUNNING"]


def test_a_payload_is_its_own_normal_form() -> None:
    assert normalize_payload(SEED_PAYLOAD) == SEED_PAYLOAD


@pytest.mark.parametrize("data", [None, [], "trials", {}, {"rows": {}}, {"trials": {}, "metric": []}])
def test_data_that_is_no_payload_is_refused(data: Any) -> None:
    with pytest.raises(BadValue, match="log_trials data"):
        normalize_payload(data)


def test_an_empty_table_is_one() -> None:
    assert normalize_table({})["trials"] == {}


def test_a_missing_cell_is_null() -> None:
    made = normalize_table({"a": {"status": "RUNNING"}}, hyperparameters=["lr"], metrics=["acc"])
    assert made["trials"]["a"] == {"base": ["a", "RUNNING"], "hyperparameters": [None], "metrics": [None]}


def test_only_four_metrics_are_sent() -> None:
    made = normalize_table({"a": {"status": "RUNNING", **dict.fromkeys("vwxyz", math.nan)}}, hyperparameters=[])
    assert made["metrics"] == ["v", "w", "x", "y"]
    assert made["trials"]["a"]["metrics"] == [None] * 4
    assert made["trials"]["a"]["nonfinite"] == dict.fromkeys("vwxy", "nan")
    assert normalize_payload(made) == made


def test_cells_made_by_hand_are_plain_copies() -> None:
    layers = (np.int64(1), 2)
    made = normalize_table({"a": {"layers": layers, "acc": np.float32(0.5)}}, base=[], hyperparameters=["layers"])
    assert made["trials"]["a"] == {"base": ["a"], "hyperparameters": [[1, 2]], "metrics": [0.5]}
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"trials": [1]}, "trials: must be a dict"),
        ({"trials": {"a": [1]}}, "trial 'a': a row must be a dict"),
        ({"trials": {1: {}}}, "trial id must be a string"),
        ({"trials": {"a": {"lr": 1}}}, "must be hyperparameters or metrics"),
        ({"trials": {"a": {"acuracy": 1}}, "hyperparameters": [], "metrics": ["accuracy"]}, "Did you mean 'accuracy'"),
        ({"trials": {"a": {"status": "DONE"}}}, "status must be one of"),
        ({"trials": {"a": {"trial_id": "b"}}}, "trial_id must be the row's key"),
        ({"trials": {"a": {"acc": "high"}}, "metrics": ["acc"]}, "a metric must be a number"),
        ({"trials": {"a": {"acc": True}}, "metrics": ["acc"]}, "a metric must be a number"),
        ({"trials": {"a": {"p": object()}}, "hyperparameters": ["p"]}, "must be plain data"),
        ({"trials": {"a": {"base": ["a"]}}}, "one cell per column in 'base'"),
        ({"trials": {"a": {"base": ["a", "RUNNING"], "metrics": [1, 2]}}, "metrics": ["acc"]}, "got 2 for 1: acc"),
        ({"trials": {"a": {"base": ["b", "RUNNING"]}}}, "trial_id must be the row's key"),
        ({"trials": {}, "metrics": "acc"}, "metrics: must be a list"),
        ({"trials": {}, "metrics": [1]}, "metrics: must be a list"),
        ({"trials": {}, "metrics": ["a", "a"]}, "columns must differ"),
        ({"trials": {"trial_1": {}}, "best_trial": "trial_2"}, "Did you mean 'trial_1'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue) as refused:
        normalize_table(**asked)
    assert message in str(refused.value)


cells = st.none() | st.integers(-5, 5) | st.floats(width=16)
columns = st.lists(st.text("abc", min_size=1, max_size=2), unique=True, max_size=6)


@st.composite
def flat_tables(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(columns)
    cut = draw(st.integers(0, len(names)))
    status = st.fixed_dictionaries({}, optional={"status": st.sampled_from(TRIAL_STATUSES)})
    cells_of = st.dictionaries(st.sampled_from(names), cells) if names else st.just({})
    rows = draw(st.dictionaries(st.text("xy", min_size=1, max_size=3), st.builds(lambda a, b: a | b, status, cells_of)))
    return {"trials": rows, "hyperparameters": names[:cut], "metrics": names[cut:]}


@given(flat_tables())
def test_a_flat_table_keeps_every_finite_cell(asked: dict[str, Any]) -> None:
    made = normalize_table(**asked)
    for trial_id, row in asked["trials"].items():
        sent = made["trials"][trial_id]
        for section in ("hyperparameters", "metrics"):
            for name, cell in zip(made[section], sent[section], strict=True):
                value = row.get(name)
                finite = value is not None and math.isfinite(value)
                assert cell == (value if finite else None)
                assert (name in sent.get("nonfinite", {})) == (value is not None and not finite)


@given(flat_tables())
def test_normalising_twice_changes_nothing(asked: dict[str, Any]) -> None:
    made = normalize_table(**asked)
    json.dumps(made, allow_nan=False)
    assert normalize_payload(made) == made


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1_000)), max_size=50))
def test_tables_keep_their_distance(steps: list[tuple[float, int]]) -> None:
    coalescer, now, last = Coalescer(lambda: 0.0, min_interval=0.5, seconds_per_row=0.005), 0.0, None
    for later, rows in steps:
        now += later
        floor = max(0.5, 0.005 * rows)
        wait = coalescer.seconds_until_due(now, rows)
        sent = coalescer.try_acquire(now, rows)
        assert sent == (wait == 0.0) == (last is None or last + floor <= now)
        if sent:
            last = now


@given(st.integers(0, 20_000), st.floats(0, 100))
def test_who_waits_as_told_may_send(rows: int, start: float) -> None:
    coalescer = Coalescer(lambda: start)
    assert coalescer.try_acquire(rows=rows)
    assert not coalescer.try_acquire(rows=rows)
    wait = coalescer.seconds_until_due(rows=rows)
    assert wait >= 0.5 - 1e-9
    assert coalescer.try_acquire(start + wait + 1e-6, rows)


def test_larger_tables_go_out_more_rarely() -> None:
    coalescer = Coalescer(lambda: 0.0)
    coalescer.try_acquire(0.0)
    waits = [coalescer.seconds_until_due(0.0, rows) for rows in (10, 1_000, 10_000)]
    assert waits == [0.5, 5.0, 50.0]
