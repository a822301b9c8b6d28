"""Tests of `trialrun.recorder.tables`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder.tables import merge_table


def table(**rows: tuple[str, float]) -> dict[str, Any]:
    return {
        "base": ["trial_id", "status"],
        "hyperparameters": [],
        "metrics": ["loss"],
        "trials": {
            name: {"base": [name, status], "hyperparameters": [], "metrics": [loss]}
            for name, (status, loss) in rows.items()
        },
    }


def test_newer_row_takes_the_place_of_the_older() -> None:
    rows: dict[str, Any] = {}
    merge_table(rows, table(a=("RUNNING", 1.0), b=("PENDING", 2.0)))
    merge_table(rows, table(a=("TERMINATED", 0.5)))
    assert (rows["a"]["status"], rows["a"]["metrics"]) == ("TERMINATED", {"loss": 0.5})
    assert rows["b"]["status"] == "PENDING"


def test_metrics_that_only_a_delta_told_of_are_kept() -> None:
    rows: dict[str, Any] = {}
    delta = table(a=("RUNNING", 1.0))
    delta["trials"]["a"]["all_metrics"] = {"loss": 1.0, "deep/f1": 0.7}
    merge_table(rows, delta)
    merge_table(rows, table(a=("TERMINATED", 0.5)))
    assert rows["a"]["all_metrics"] == {"loss": 0.5, "deep/f1": 0.7}


@given(
    payload=st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["trials", "base", "metrics", "all_metrics", "a"]), inner, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_what_is_no_table_does_no_harm(payload: Any) -> None:
    rows: dict[str, Any] = {}
    merge_table(rows, payload)
    merge_table(rows, payload)
    assert all("status" in row for row in rows.values())
