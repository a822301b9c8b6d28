"""Tests of the client against our recorder, over memory and HTTP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trialrun import events
from trialrun.backend import Answer, Call, Client, Http, LogSink, Memory, Retry, RetryPolicy, Tokens, Transport
from trialrun.recorder import Fixtures, Recorder
from trialrun.recorder.recorder import HttpServer
from trialrun_hookspecs.errors import BackendRefused, BackendUnavailable, NotOnBackend
from trialrun_hookspecs.event import Event

JOB = 1
QUICK = RetryPolicy(attempts=20, first=0.0, longest=0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with Recorder() as unused, unused.server() as listening:
        yield listening


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    (tmp_path / "fixture").mkdir()
    (tmp_path / "fixture" / "weights.bin").write_bytes(b"w" * 1000)
    fixtures = Fixtures()
    rows = [
        {"category": "train" if n % 5 else "test", "data": {"label": n}, "files": {"image.png": b"png%d" % n}}
        for n in range(250)
    ]
    fixtures.add_dataset(123, rows)
    fixtures.add_checkpoint(789, tmp_path / "fixture")
    with Recorder(tmp_path / "recorder.sqlite", fixtures=fixtures, strict=True) as made:
        made.create_job("a:b", {"action": "train", "params": {"name": "a:b"}}, plugin="p", version="1.2")
        yield made


@contextmanager
def memory_door(recorder: Recorder, server: HttpServer) -> Iterator[Transport]:
    yield Memory(recorder.handler())


@contextmanager
def http_door(recorder: Recorder, server: HttpServer) -> Iterator[Transport]:
    server.recorder = recorder
    transport = Http(server.url, Tokens(access=server.token))
    yield transport
    transport.close()


@pytest.fixture(params=[memory_door, http_door])
def door(request: pytest.FixtureRequest, recorder: Recorder, server: HttpServer) -> Iterator[Transport]:
    with request.param(recorder, server) as transport:
        yield transport


@pytest.fixture
def client(door: Transport) -> Client:
    return Client(door, chunk=300)


class Weather:
    """Loses calls and answers at random, as a bad network does."""

    def __init__(self, inner: Transport, seed: int) -> None:
        self._inner, self._random = inner, random.Random(seed)

    def send(self, call: Call) -> Answer:
        fate = self._random.random()
        if fate < 0.3:
            raise BackendUnavailable("dropped before it was read")
        answer = self._inner.send(call)
        if fate < 0.6:
            raise BackendUnavailable("dropped after it was read")
        return answer

    def close(self) -> None:
        self._inner.close()


def stamped(event: Event, number: int, trial_id: str | None = None) -> Event:
    time = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    return events.stamp_event(event, job_id=JOB, trial_id=trial_id, key=f"{trial_id}-{number}", seq=number, time=time)


def test_our_recorder_is_known(client: Client) -> None:
    assert client.is_recorder()


def test_a_wrong_token_is_refused(recorder: Recorder, server: HttpServer) -> None:
    server.recorder = recorder
    transport = Http(server.url, Tokens(access="wrong"))
    with pytest.raises(BackendRefused, match="token"):
        Client(transport).is_recorder()
    transport.close()


def test_the_dataset_arrives_with_its_files(client: Client, tmp_path: Path) -> None:
    given = client.download_dataset(123, tmp_path / "data")
    assert {category: len(rows) for category, rows in given.items()} == {"test": 50, "train": 200}
    for row in given["test"] + given["train"]:
        assert Path(row["files"]["image.png"]).read_bytes() == b"png%d" % row["data"]["label"]


def test_the_checkpoint_arrives_unpacked(client: Client, tmp_path: Path) -> None:
    given = client.download_checkpoint(789, tmp_path / "checkpoint")
    assert (Path(given["path"]) / "weights.bin").read_bytes() == b"w" * 1000


def test_unknown_ids_are_not_on_the_backend(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotOnBackend):
        client.download_dataset(5, tmp_path / "data")
    with pytest.raises(NotOnBackend):
        client.download_checkpoint(5, tmp_path / "checkpoint")
    with pytest.raises(NotOnBackend):
        client.get_job(5)


def test_names_are_taken_by_the_job_that_has_them(client: Client) -> None:
    assert client.find_name_conflict("a:b") == f"active job {JOB} has this name"
    assert client.find_name_conflict("a:b", job_id=JOB) is None
    assert client.find_name_conflict("a%3Ab") is None


def test_a_job_and_its_plugin_are_read(client: Client) -> None:
    release = client.get_plugin_release(client.get_job(JOB)["plugin_release"])
    assert (release["plugin"]["code"], release["version"]) == ("p", "1.2")


def test_an_artifact_becomes_a_model_that_can_be_resumed_from(
    client: Client, recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "weights.bin").write_bytes(random.Random(1).randbytes(2000))
    upload = client.upload_artifact(tmp_path / "artifact")
    model_id = client.create_model(
        name="m:1", plugin="p", version="1", chunked_upload=upload, configuration={"hyperparameter": {"lr": 0.1}}
    )
    assert recorder.models()[0]["md5_matches"]
    assert client.find_name_conflict("m:1") == f"model {model_id} has this name"
    resumed = client.download_checkpoint(model_id, tmp_path / "back")
    assert (Path(resumed["path"]) / "weights.bin").read_bytes() == (tmp_path / "artifact" / "weights.bin").read_bytes()


def test_the_best_trial_is_registered(client: Client, recorder: Recorder) -> None:
    client.override_best(JOB, "t1", {"lr": 0.1, "trial_id": "mine"})
    (best,) = recorder.best_trials(JOB)
    assert (best["trial_id"], best["hyperparameters"]) == ("t1", {"lr": 0.1})


@pytest.mark.parametrize("seed", range(4))
def test_everything_arrives_once_in_bad_weather(door: Transport, recorder: Recorder, seed: int, tmp_path: Path) -> None:
    client = Client(Retry(Weather(door, seed), retry_policy=QUICK), chunk=300)
    stormy = Client(Weather(door, seed + 100))
    with LogSink(
        stormy, entry=events.to_log_entry, interval=0.001, max_batch=7, retry_policy=RetryPolicy(first=0.0, longest=0.0)
    ) as sink:
        sink.put(stamped(events.status_event("RUNNING"), 0))
        for n in range(1, 60):
            sink.put(stamped(events.metric_event("training", "loss", n), n, "t1"))
            sink.put(stamped(events.metric_event("training", "loss", n), n, "t2"))
            sink.put(stamped(events.progress_event("train", n, 59, n / 59, 1.0), n))
        (tmp_path / "model").write_bytes(random.Random(seed).randbytes(1000))
        model_id = client.create_model(name="m", chunked_upload=client.upload_file(tmp_path / "model"))
        sink.put(stamped(events.model_event(model_id, None, "m"), 100))
        sink.put(stamped(events.result_event({"model_id": model_id}), 101))
        sink.put(stamped(events.status_event("SUCCEEDED"), 102))
        assert sink.flush(60)
    assert sink.refused_events == ()
    for trial_id in ("t1", "t2"):
        assert [metric["value"] for metric in recorder.metrics(trial_id)] == list(range(1, 60))
    assert [model["md5_matches"] for model in recorder.models()] == [True]
    assert [change["value"] for change in recorder.changes(JOB, "status")] == ["RUNNING", "SUCCEEDED"]
    assert recorder.progress(JOB)[-1]["overall"] == 100.0
    assert recorder.job(JOB)["result"] == {"model_id": model_id}
    assert [event["data"] for event in recorder.events("model")] == [
        {"model_id": model_id, "trial_id": None, "name": "m"}
    ]


def test_the_recorder_gets_deltas_beside_tables(door: Transport, recorder: Recorder) -> None:
    base: dict[str, Any] = {"base": ["trial_id", "status"], "hyperparameters": [], "metrics": ["loss"]}
    row = {"base": ["t1", "RUNNING"], "hyperparameters": [], "metrics": [1]}
    with LogSink(Client(door), entry=events.to_log_entry, interval=0.001) as sink:
        sink.put(stamped(events.trials_delta_event({**base, "trials": {"t1": row}}), 1))
        sink.put(stamped(events.trials_event({**base, "best_trial": "", "trials": {"t1": row}}), 2))
        sink.put(stamped(events.trial_result_event("t1", 1, {"loss": 1.0}), 3))
    assert [event["event"] for event in recorder.events()] == ["trials_delta", "trials", "trial_result"]
    assert recorder.table_rows(JOB)["t1"]["status"] == "RUNNING"
