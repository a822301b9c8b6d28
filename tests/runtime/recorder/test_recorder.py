"""Tests of `trialrun.recorder.recorder`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Fixtures, Recorder
from trialrun_hookspecs.errors import NotOnBackend, UsageError


@dataclass(frozen=True, kw_only=True)
class ACall:
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    json: Any = None
    body: bytes | None = None
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


def post(recorder: Recorder, *entries: dict[str, Any]) -> None:
    assert recorder.handle("POST", "logs/", body=json.dumps(entries).encode()).status == 201


def test_memory_door_takes_calls_as_values(recorder: Recorder) -> None:
    send = recorder.handler()
    entry = {"event": "message", "data": {"content": "a"}}
    for call in (
        ACall(method="POST", path="logs/", json=entry, key="k"),
        ACall(method="POST", path="logs/", body=json.dumps(entry).encode(), content_type="application/json", key="k"),
    ):
        assert send(call).status == 201
    assert len(recorder.messages()) == 1
    assert send(ACall(method="GET", path="jobs/", params=(("params", "name:x"),))).json()["count"] == 0


def test_key_of_an_entry_is_not_the_key_of_its_metric(recorder: Recorder) -> None:
    post(recorder, {"event": "metric", "key": "event-key", "data": {"key": "loss", "value": 1}, "job": 1})
    assert recorder.metrics()[0]["key"] == "loss"
    assert recorder.events()[0]["key"] == "event-key"


def test_entry_with_a_known_key_is_stored_once_per_job(recorder: Recorder) -> None:
    entry = {"event": "message", "key": "k", "data": {"content": "a"}}
    post(recorder, {**entry, "job": 1}, {**entry, "job": 1}, {**entry, "job": 2})
    post(recorder, {**entry, "job": 1}, {"event": "message", "data": {"content": "new"}, "job": 1})
    assert [(message["job"], message["content"]) for message in recorder.messages()] == [(1, "a"), (2, "a"), (1, "new")]


def test_metrics_are_told_by_trial_and_job(recorder: Recorder) -> None:
    points = [(job, trial) for job in (1, 2) for trial in ("a", "b", None)]
    post(recorder, *({"event": "metric", "job": job, "data": {"trial_id": trial}} for job, trial in points))
    assert [(m["job"], m["trial_id"]) for m in recorder.metrics()] == points
    assert [(m["job"], m["trial_id"]) for m in recorder.metrics(trial_id="a")] == [(1, "a"), (2, "a")]
    assert [m["trial_id"] for m in recorder.metrics(job_id=2)] == ["a", "b", None]


def test_events_can_be_asked_for_piece_by_piece(recorder: Recorder) -> None:
    post(recorder, *({"event": "e", "data": {"i": i}} for i in range(5)))
    seen = recorder.events()
    assert [event["data"]["i"] for event in recorder.events(after=seen[2]["id"])] == [3, 4]


def test_rows_of_the_table_come_from_deltas_and_tables(recorder: Recorder) -> None:
    columns = {"base": ["trial_id", "status"], "hyperparameters": ["lr"], "metrics": ["loss"]}

    def row(status: str, loss: float) -> dict[str, Any]:
        return {"base": ["a", status], "hyperparameters": [0.1], "metrics": [loss]}

    post(
        recorder,
        {"event": "trials", "job": 1, "data": {**columns, "trials": {"a": row("PENDING", 3), "b": row("RUNNING", 2)}}},
    )
    post(recorder, {"event": "trials_delta", "job": 1, "data": {**columns, "trials": {"a": row("RUNNING", 2)}}})
    assert recorder.table_rows(1)["a"]["status"] == "RUNNING"
    post(recorder, {"event": "trials_delta", "job": 1, "data": {**columns, "trials": {"a": row("TERMINATED", 1)}}})
    rows = recorder.table_rows(1)
    assert (rows["a"]["status"], rows["a"]["metrics"], rows["a"]["hyperparameters"]) == (
        "TERMINATED",
        {"loss": 1},
        {"lr": 0.1},
    )
    assert rows["b"]["status"] == "RUNNING"
    assert len(recorder.tables(1)) == 1
    assert recorder.table_rows(2) == {}


def test_last_table_is_the_newest(recorder: Recorder) -> None:
    assert recorder.last_table() is None
    post(recorder, *({"event": "trials", "job": job, "data": {"n": n}} for n, job in enumerate([1, 2, 1, 2])))
    assert (recorder.last_table(), recorder.last_table(1)) == ({"n": 3}, {"n": 2})


def test_requests_are_told_by_route(recorder: Recorder) -> None:
    for path in ("jobs/1/", "jobs/12/", "jobs/", "models/"):
        recorder.handle("GET", path)
    assert [request["path"] for request in recorder.requests("jobs/")] == ["jobs/1", "jobs/12", "jobs"]
    assert [request["path"] for request in recorder.requests("jobs/1")] == ["jobs/1"]


def test_raw_request_is_kept_beside_the_normal_row(recorder: Recorder) -> None:
    sent = {"event": "metric", "datetime": "2026-03-01T12:00:00+09:00", "data": {"value": 1}}
    recorder.handle("POST", "logs/", {"a": "b"}, {"X-Own": "1", "Authorization": "Token t"}, json.dumps(sent).encode())
    (request,) = recorder.requests()
    assert (request["body"], request["params"]) == (sent, [("a", "b")])
    assert request["headers"] == {"x-own": "1", "authorization": "***"}
    assert recorder.events()[0]["time"] == "2026-03-01T03:00:00+00:00"


def test_job_that_is_not_there_is_named(recorder: Recorder) -> None:
    with pytest.raises(NotOnBackend, match="77"):
        recorder.job(77)


def test_created_job_waits_with_its_request(recorder: Recorder) -> None:
    job = recorder.create_job("n", {"action": "train", "params": {"name": "n", "dataset": 1}}, job_id=40)
    assert job == 40
    assert (
        recorder.job(40).items()
        >= {"status": "PENDING", "is_active": True, "params": {"name": "n", "dataset": 1}}.items()
    )
    assert recorder.create_job("m", {}) == 41


def test_recording_is_read_later_without_a_change(recorder: Recorder) -> None:
    post(recorder, {"event": "message", "data": {"content": "a"}, "job": 1})
    recorder.handle("PATCH", "jobs/1/", body=b'{"status": "FAILED"}')
    recorder.close()
    before = recorder.path.read_bytes()
    with Recorder.open(recorder.path) as later:
        assert later.messages()[0]["content"] == "a"
        assert later.handle("GET", "jobs/1/").json()["status"] == "FAILED"
        assert later.handle("PATCH", "jobs/1/", body=b"{}").status == 403
    assert recorder.path.read_bytes() == before


def test_recording_is_read_while_it_is_made(recorder: Recorder) -> None:
    post(recorder, {"event": "message", "data": {}})
    with Recorder.open(recorder.path) as reader:
        assert len(reader.messages()) == 1
        post(recorder, {"event": "message", "data": {}})
        assert len(reader.messages()) == 2


def test_recording_is_gone_on_with(tmp_path: Path) -> None:
    for _ in range(2):
        with Recorder(tmp_path / "r.sqlite") as recorder:
            recorder.handle("POST", "logs", (), {"Idempotency-Key": "k"}, b'{"event": "message", "data": {}}')
            recorder.handle("POST", "models", (), {}, b'{"name": "m"}')
            assert len(recorder.messages()) == 1
    with Recorder.open(tmp_path / "r.sqlite") as recorder:
        assert [model["id"] for model in recorder.models()] == [1, 2]


def test_temporary_recording_leaves_nothing() -> None:
    with Recorder(":memory:") as recorder:
        folder = recorder.path.parent
        assert folder.is_dir()
    assert not folder.exists()


def test_opening_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Recorder.open(tmp_path / "not-there.sqlite")


def test_new_models_leave_the_ids_of_checkpoints_free(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("x")
    fixtures = Fixtures()
    for model_id in (1, 2, 4):
        fixtures.add_checkpoint(model_id, tmp_path / "c")
    with Recorder(tmp_path / "r.sqlite", fixtures=fixtures) as recorder:
        made = [recorder.handle("POST", "models", body=b'{"name": "m"}').json()["id"] for _ in range(2)]
    assert made == [3, 5]


def test_import_brings_no_web_framework() -> None:
    script = "import sys, trialrun.recorder.mock, trialrun.web.server; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert not {"starlette", "uvicorn", "requests", "responses", "ray", "pydantic"} & set(modules.stdout.split())
