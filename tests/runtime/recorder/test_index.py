"""Tests of `trialrun.recorder.index`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recorder.index import advance_index, ensure_index

NAMES = st.sampled_from(["a", "b", "c", "__proto__"])
CELLS = st.one_of(st.none(), st.integers(-5, 5), st.floats(allow_nan=True), st.text(max_size=3), st.booleans())
STATUSES = st.sampled_from(["PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """A whole table or a delta; columns may come in any order, with any of them left out."""
    hyperparameters = draw(st.lists(NAMES, unique=True))
    metrics = draw(st.lists(NAMES, unique=True))
    rows = {
        trial: {
            "base": [trial, draw(STATUSES)],
            "hyperparameters": [draw(CELLS) for _ in hyperparameters],
            "metrics": [draw(CELLS) for _ in metrics],
            **({"all_metrics": draw(st.dictionaries(NAMES, CELLS, max_size=3))} if draw(st.booleans()) else {}),
        }
        for trial in draw(st.lists(NAMES, unique=True, max_size=3))
    }
    columns = {"base": ["trial_id", "status"], "hyperparameters": hyperparameters, "metrics": metrics}
    return {**columns, "trials": rows}


def sent(recorder: Recorder, event: str, data: Any, **more: Any) -> None:
    body = json.dumps({"event": event, "job": 1, "data": data, **more}).encode()
    assert recorder.handle("POST", "logs", body=body).status == 201


def indexed(path: Path) -> dict[str, dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    rows = {row["trial"]: dict(row) for row in connection.execute("SELECT * FROM trials WHERE job = 1")}
    connection.close()
    return rows


@given(st.lists(tables(), max_size=6))
def test_index_says_what_the_entries_say(sent_tables: list[dict[str, Any]]) -> None:
    with Recorder() as recorder:
        for table in sent_tables:
            sent(recorder, "trials_delta", table)
        expected, found = recorder.table_rows(1), indexed(recorder.path)
        assert found.keys() == expected.keys()
        for trial, row in expected.items():
            cells = json.loads(found[trial]["cells"])
            assert found[trial]["status"] == row["status"]
            # text: NaN is not equal to itself
            for part in ("hyperparameters", "all_metrics"):
                assert json.dumps(cells[part], sort_keys=True) == json.dumps(row[part], sort_keys=True)


@given(st.sampled_from(["trials", "trials_delta", "trial_result", "metric"]), JSON)
def test_nothing_that_is_sent_stops_the_recorder(event: str, data: Any) -> None:
    with Recorder() as recorder:
        sent(recorder, event, data)
        assert len(recorder.events()) == 1


def a_table(status: str, **metrics: float) -> dict[str, Any]:
    columns = {"base": ["trial_id", "status"], "hyperparameters": [], "metrics": list(metrics)}
    row = {"base": ["t", status], "hyperparameters": [], "metrics": list(metrics.values())}
    return {**columns, "trials": {"t": row}}


def test_a_trial_s_times_are_those_of_its_states(recorder: Recorder) -> None:
    for second, status in enumerate(["PENDING", "RUNNING", "RUNNING", "TERMINATED", "TERMINATED"]):
        sent(recorder, "trials_delta", a_table(status, loss=second), datetime=f"2026-01-01T00:00:0{second}+00:00")
    row = indexed(recorder.path)["t"]
    assert (row["started"][17:19], row["ended"][17:19]) == ("01", "03")


def test_a_trial_that_runs_again_has_not_ended(recorder: Recorder) -> None:
    for status in ("RUNNING", "PAUSED", "TERMINATED", "RUNNING"):
        sent(recorder, "trials_delta", a_table(status))
    assert indexed(recorder.path)["t"]["ended"] is None


def test_a_row_that_says_nothing_new_keeps_its_version(recorder: Recorder) -> None:
    sent(recorder, "trials_delta", a_table("RUNNING", loss=1.0))
    before = indexed(recorder.path)["t"]["version"]
    sent(recorder, "trials", a_table("RUNNING", loss=1.0))
    assert indexed(recorder.path)["t"]["version"] == before
    sent(recorder, "trials_delta", a_table("RUNNING", loss=2.0))
    assert indexed(recorder.path)["t"]["version"] > before


def test_reports_alone_make_a_row(recorder: Recorder) -> None:
    for step in (1, 2):
        sent(recorder, "trial_result", {"trial_id": "t", "iteration": step, "metrics": {"loss": 1}})
    sent(recorder, "metric", {"trial_id": "u", "category": "train", "key": "loss", "value": 1})
    rows = indexed(recorder.path)
    assert (rows["t"]["iteration"], rows["u"]["number"]) == (2, 2)


def without_index(path: Path) -> None:
    """The recording as an older trialrun left it."""
    connection = sqlite3.connect(path)
    for table in ("index_state", "trials", "series"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP INDEX entries_trial")
    connection.execute("DROP INDEX requests_facts")
    connection.commit()
    connection.close()


def test_a_recording_without_an_index_gets_one_when_it_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Recorder(path) as recorder:
        sent(recorder, "trials_delta", a_table("RUNNING", loss=1.0))
    without_index(path)
    with Recorder(path) as recorder:
        sent(recorder, "trials_delta", a_table("TERMINATED", loss=2.0))
        row = indexed(path)["t"]
    assert row["status"] == "TERMINATED"
    assert json.loads(row["cells"])["all_metrics"] == {"loss": 2.0}


@pytest.mark.parametrize("count", [1, 7, 12_000])
def test_catching_up_leaves_nothing_out(tmp_path: Path, count: int) -> None:
    path = tmp_path / "r.sqlite"
    Recorder(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO entries VALUES (NULL, 1, 'trial_result', ?, '2026-01-01T00:00:00+00:00', NULL, ?, NULL, NULL)",
        [(f"t{number}", json.dumps({"iteration": 1, "metrics": {}})) for number in range(count)],
    )
    connection.execute("COMMIT")
    ensure_index(connection)
    assert connection.execute("SELECT count(*), max(number) FROM trials").fetchone()[:] == (count, count)
    assert not advance_index(connection)
    connection.close()
