"""Tests of `trialrun.recordings.trial_index`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recorder.store import Store
from trialrun.recordings.trial_index import Condition, TrialIndex, sort_key

from .a_study import send, table

CELLS = st.one_of(
    st.none(), st.integers(), st.floats(allow_nan=False), st.text(), st.booleans(), st.lists(st.integers())
)


@pytest.fixture
def board(study: Recorder) -> Any:
    store = Store(study.path, readonly=True)
    made = TrialIndex(store, 1)
    made.refresh()
    yield made
    store.close()


def ids(board: TrialIndex, **asked: Any) -> list[str]:
    return [trial.trial for trial in board.select_page(**asked)[1]]


def test_pages_together_are_the_table(board: TrialIndex) -> None:
    pages = [trial for offset in range(0, 4, 3) for trial in ids(board, offset=offset, limit=3)]
    assert pages == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("sort", "descending", "order"),
    [
        ("m:loss", False, "cabd"),
        ("m:loss", True, "acbd"),
        ("h:rate", True, "dcba"),
        ("trial", True, "dcba"),
        ("nothing", False, "abcd"),
    ],
)
def test_rows_without_the_sorted_cell_come_last(board: TrialIndex, sort: str, descending: bool, order: str) -> None:
    assert "".join(ids(board, sort=sort, descending=descending)) == order


def test_states_narrow_the_table_down(board: TrialIndex) -> None:
    assert ids(board, statuses=["PAUSED", "ERROR"]) == ["b", "c"]


@pytest.mark.parametrize(
    ("column", "operator", "value", "fitting"),
    [
        ("m:loss", "<", 0.3, "c"),
        ("m:loss", ">=", 0.25, "ac"),
        ("h:kind", "=", "y", "bd"),
        ("h:rate", "!=", 0.1, "bcd"),
        ("m:none", "!=", 1, ""),
    ],
)
def test_conditions_narrow_the_table_down(
    board: TrialIndex, column: str, operator: str, value: Any, fitting: str
) -> None:
    condition = Condition(column=column, operator=operator, value=value)
    assert "".join(ids(board, where=[condition])) == fitting


def test_a_board_follows(study: Recorder, board: TrialIndex) -> None:
    send(study, "trials_delta", table(d=("TERMINATED", [0.4, "y"], [0.01])))
    board.refresh()
    assert ids(board, sort="m:loss")[0] == "d"


@given(st.lists(CELLS))
def test_all_cells_can_be_sorted(cells: list[Any]) -> None:
    keys = sorted(map(sort_key, cells))
    assert len(keys) == len(cells)
