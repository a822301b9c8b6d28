"""A client that shares no code with ours: plain `requests`, written from the description of the API."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer


@pytest.fixture
def session(server: HttpServer) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.headers["Synapse-Access-Token"] = f"Token {server.token}"
        made.headers["Synapse-Tenant"] = "Token some-tenant-of-theirs"
        yield made


@pytest.fixture
def strict_session(strict_server: HttpServer) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.headers["Authorization"] = f"Token {strict_server.token}"
        yield made


def put_chunk(session: requests.Session, url: str, data: bytes, start: int, total: int) -> requests.Response:
    return session.put(
        url,
        data={"filename": "model.zip"},
        files={"file": ("model.zip", data)},
        headers={"Content-Range": f"bytes {start}-{start + len(data) - 1}/{total}"},
    )


def upload(session: requests.Session, base: str, content: bytes, size: int = 1000) -> dict[str, Any]:
    url, offset = f"{base}chunked_upload/", 0
    while offset < len(content):
        answer = put_chunk(session, url, content[offset : offset + size], offset, len(content)).json()
        assert answer.keys() >= {"id", "url", "offset"}
        url, offset = answer["url"], answer["offset"]
    done = session.post(url, json={"md5": hashlib.md5(content).hexdigest()})
    assert done.status_code == 200
    return dict(done.json())


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def test_recorder_says_that_it_is_one(server: HttpServer, session: requests.Session) -> None:
    answer = session.get(f"{server.url}trialrun/").json()
    assert answer["recorder"] == "trialrun"
    assert answer["version"]


@pytest.mark.parametrize("name", ["plain", "a:b", "a,b", "50%", "a%3Ab", "a,b:c", "名前 \n/é"])
def test_active_job_is_found_by_its_encoded_name(
    server: HttpServer, session: requests.Session, recorder: Recorder, name: str
) -> None:
    recorder.create_job("other", {"action": "train", "params": {"name": "other"}})
    job = recorder.create_job(name, {"action": "train", "params": {"name": name}})
    encoded = name.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    query = f"ids_ex=&category=neural_net&job__action=train&is_active=True&params=name:{quote(encoded, safe='')}"
    page = session.get(f"{server.url}jobs/?{query}").json()
    assert page.keys() == {"count", "next", "previous", "results"}
    assert [found["id"] for found in page["results"]] == [job]
    session.patch(f"{server.url}jobs/{job}/", json={"status": "SUCCEEDED"})
    assert session.get(f"{server.url}jobs/?{query}").json()["count"] == 0


def test_excluded_job_is_not_found(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    jobs = [recorder.create_job("same", {"action": "train", "params": {"name": "same"}}) for _ in range(3)]
    found = session.get(f"{server.url}jobs/", params={"ids_ex": f"{jobs[0]},{jobs[2]}", "params": "name:same"}).json()
    assert [job["id"] for job in found["results"]] == [jobs[1]]


def test_taken_model_name_is_found(server: HttpServer, session: requests.Session) -> None:
    session.post(f"{server.url}models/", json={"name": "a:b", "plugin": 1, "version": "1"}).raise_for_status()
    assert session.get(f"{server.url}models/", params={"name": "a%3Ab"}).json()["count"] == 1
    assert session.get(f"{server.url}models/", params={"name": "a"}).json()["count"] == 0


def test_dataset_comes_in_pages_with_files(server: HttpServer, session: requests.Session) -> None:
    url: str | None = (
        f"{server.url}sdk/ground_truth_events/?fields=category&fields=files&fields=data&expand=data"
        "&ground_truth_dataset_versions=123&page_size=100"
    )
    rows: list[dict[str, Any]] = []
    pages = 0
    while url is not None:
        page = session.get(url).json()
        rows, url, pages = rows + page["results"], page["next"], pages + 1
    assert pages == 3
    assert [row["data"]["label"] for row in rows] == list(range(250))
    assert {row["category"] for row in rows} == {"train", "test"}
    assert all(row.keys() == {"category", "files", "data"} for row in rows)
    assert requests.get(rows[7]["files"]["image"]).content == b"png7"  # no header: as from an object store


def test_checkpoint_is_a_zip(server: HttpServer, session: requests.Session) -> None:
    model = session.get(f"{server.url}models/789/").json()
    assert model["id"] == 789
    archive = zipfile.ZipFile(io.BytesIO(requests.get(model["file"]).content))
    assert archive.namelist() == ["weights.bin"]


@pytest.mark.parametrize("path", ["models/5/", "sdk/ground_truth_events/?ground_truth_dataset_versions=5", "jobs/5/"])
def test_what_is_not_there_is_a_404(server: HttpServer, session: requests.Session, path: str) -> None:
    assert session.get(server.url + path).status_code == 404


def test_upload_becomes_a_model_that_can_be_fetched(
    server: HttpServer, session: requests.Session, recorder: Recorder
) -> None:
    content = zipped(weights=bytes(range(256)) * 20)
    sent = upload(session, server.url, content)
    seen = session.get(f"{server.url}chunked_upload/{sent['id']}/").json()
    assert (seen["offset"], seen["md5_matches"]) == (len(content), True)
    body = {
        "name": "digits_1a2b",
        "plugin": 3,
        "version": "1.0",
        "chunked_upload": sent["id"],
        "configuration": {"tune_trial": {"trial_id": "1a2b", "config": {}, "metrics": {}, "logdir": "/"}},
    }
    made = session.post(f"{server.url}models/", json=body)
    assert made.status_code == 201
    model = session.get(f"{server.url}models/{made.json()['id']}/").json()
    assert model.items() >= body.items()
    assert requests.get(model["file"]).content == content
    kept = recorder.models()[0]
    assert kept["path"].read_bytes() == content
    assert (kept["md5_matches"], kept["size"]) == (True, len(content))
    assert kept["path"].is_relative_to(recorder.folder)


def test_model_that_is_one_file_is_handed_out_as_zip(server: HttpServer, session: requests.Session) -> None:
    content = zipped(inside=b"a torch file is a zip of its own")
    answer = session.put(f"{server.url}chunked_upload/", files={"file": ("model.pt", content)}).json()
    session.post(answer["url"], data={"md5": hashlib.md5(content).hexdigest()})
    made = session.post(f"{server.url}models/", json={"name": "m", "chunked_upload": answer["id"]}).json()
    archive = zipfile.ZipFile(io.BytesIO(requests.get(made["file"]).content))
    (member,) = archive.namelist()
    assert member.endswith("model.pt")
    assert archive.read(member) == content


def test_job_names_the_release_of_its_plugin(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    job = recorder.create_job("n", {"action": "train", "params": {}}, plugin="digits", version="1.2.3")
    release = session.get(f"{server.url}jobs/{job}/").json()["plugin_release"]
    answer = session.get(f"{server.url}plugin_releases/{release}/", params={"expand": "plugin"}).json()
    assert (answer["plugin"]["code"], answer["version"]) == ("digits", "1.2.3")


def test_one_entry_is_taken_like_a_list(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    entry = {"event": "message", "data": {"context": "info", "content": "hello"}, "datetime": "2026-03-01", "job": 1}
    assert session.post(f"{server.url}logs/", json=entry).json()["stored"] == 1
    assert session.post(f"{server.url}logs/", json=[entry, entry]).json()["stored"] == 2
    assert [message["content"] for message in recorder.messages()] == ["hello"] * 3


def test_every_event_of_the_api_is_told_again(
    server: HttpServer, session: requests.Session, recorder: Recorder
) -> None:
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    point = {"category": "training", "key": "loss", "value": 0.5, "metrics": {"epoch": 1}, "trial_id": "t1"}
    table = {
        "base": ["trial_id", "status"],
        "hyperparameters": ["lr"],
        "metrics": ["loss"],
        "best_trial": "",
        "trials": {"t1": {"base": ["t1", "RUNNING"], "hyperparameters": [0.1], "metrics": [0.5]}},
    }
    entries = [
        {"event": "metric", "data": point, "datetime": "2026-03-01T12:00:00+09:00", "job": 4},
        {
            "event": "visualization",
            "data": {"category": "c", "group": "g", "index": 0, "m": 1},
            "file": image,
            "job": 4,
        },
        {"event": "trials", "data": table, "job": 4},
        {"event": "something_new", "data": {"a": 1}, "level": "info", "step": 3, "job": 4},
    ]
    assert session.post(f"{server.url}logs/", json=entries).status_code == 201
    (metric,) = recorder.metrics(trial_id="t1")
    assert metric.items() >= {**point, "job": 4, "time": "2026-03-01T03:00:00+00:00"}.items()
    (seen,) = recorder.visualizations()
    assert (seen["group"], seen["m"], seen["file"]) == ("g", 1, image)
    assert recorder.tables() == [table]
    (unknown,) = recorder.events("something_new")
    assert (unknown["data"], unknown["level"], unknown["step"]) == ({"a": 1}, "info", 3)


def test_job_takes_progress_status_result(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    job = recorder.create_job("n", {"action": "train", "params": {}})
    for body in (
        {"status": "RUNNING"},
        {"progress_record": {"overall": 0.5, "steps": {"train": {"proportion": 75}}}},
        {"metrics_record": {"loss": 1}, "console_logs": ["a"], "result": {"model_id": 3}, "status": "SUCCEEDED"},
    ):
        assert session.patch(f"{server.url}jobs/{job}/", json=body).status_code == 200
    seen = recorder.job(job)
    assert (seen["status"], seen["is_active"], seen["result"]) == ("SUCCEEDED", False, {"model_id": 3})
    assert recorder.progress(job) == [{"overall": 0.5, "categories": {"train": {"proportion": 75}}}]
    assert [change["value"] for change in recorder.changes(job, "status")] == ["RUNNING", "SUCCEEDED"]


def test_best_trial_keeps_its_id_beside_a_hyperparameter_of_that_name(
    server: HttpServer, session: requests.Session, recorder: Recorder
) -> None:
    url = f"{server.url}trains/9/override_best_trial/"
    raw = b'{"trial_id": "1a2b", "lr": 0.1, "trial_id": 77}'
    assert session.put(url, data=raw, headers={"Content-Type": "application/json"}).status_code == 200
    (best,) = recorder.best_trials(9)
    assert (best["trial_id"], best["hyperparameters"]) == ("1a2b", {"lr": 0.1})


def test_call_with_a_known_key_has_one_effect(
    server: HttpServer, session: requests.Session, recorder: Recorder
) -> None:
    entry = {"event": "message", "data": {"content": "once"}, "job": 1}
    answers = [session.post(f"{server.url}logs/", json=entry, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert len({answer.text for answer in answers}) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true", "true"]
    assert len(recorder.messages()) == 1
    assert [request["replayed"] for request in recorder.requests("logs")] == [False, True, True]


def test_models_are_made_once_per_key(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    made = [
        session.post(f"{server.url}models/", json={"name": "m"}, headers={"Idempotency-Key": key}).json()["id"]
        for key in ("a", "b", "a", "b")
    ]
    assert made == [1, 2, 1, 2]
    assert len(recorder.models()) == 2


def test_gap_in_an_upload_is_refused_with_the_offset(server: HttpServer, session: requests.Session) -> None:
    first = put_chunk(session, f"{server.url}chunked_upload/", b"0123456789", 0, 30).json()
    answer = put_chunk(session, first["url"], b"x" * 10, 20, 30)
    assert (answer.status_code, answer.json()["offset"]) == (400, 10)


def test_chunk_sent_again_is_taken_once(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    first = put_chunk(session, f"{server.url}chunked_upload/", b"0123456789", 0, 20).json()
    for _ in range(2):
        answer = put_chunk(session, first["url"], b"abcdefghij", 10, 20).json()
        assert answer["offset"] == 20
    done = session.post(first["url"], json={"md5": hashlib.md5(b"0123456789abcdefghij").hexdigest()}).json()
    assert done["md5_matches"] is True


def test_strict_upload_refuses_a_chunk_at_another_offset(
    strict_server: HttpServer, strict_session: requests.Session
) -> None:
    first = put_chunk(strict_session, f"{strict_server.url}chunked_upload/", b"0123456789", 0, 20).json()
    assert put_chunk(strict_session, first["url"], b"abcdefghij", 5, 20).status_code == 400


def test_strict_upload_refuses_a_wrong_md5(strict_server: HttpServer, strict_session: requests.Session) -> None:
    first = put_chunk(strict_session, f"{strict_server.url}chunked_upload/", b"0123456789", 0, 10).json()
    assert strict_session.post(first["url"], json={"md5": "0" * 32}).status_code == 400
    right = {"md5": hashlib.md5(b"0123456789").hexdigest()}
    assert strict_session.post(first["url"], json=right).status_code == 200


def test_half_an_upload_is_no_model_and_can_be_gone_on_with(
    strict_server: HttpServer, strict_session: requests.Session
) -> None:
    whole = b"0123456789abcdefghij"
    first = put_chunk(strict_session, f"{strict_server.url}chunked_upload/", whole[:10], 0, 20).json()
    finish = {"md5": hashlib.md5(whole[:10]).hexdigest()}
    refused = strict_session.post(first["url"], json=finish)
    assert (refused.status_code, refused.json()["offset"]) == (400, 10)
    model = {"name": "m", "chunked_upload": first["id"]}
    assert strict_session.post(f"{strict_server.url}models/", json=model).status_code == 400
    assert strict_session.get(first["url"]).json()["offset"] == 10
    assert put_chunk(strict_session, first["url"], whole[10:], 10, 20).status_code == 200
    assert strict_session.post(first["url"], json={"md5": hashlib.md5(whole).hexdigest()}).status_code == 200
    assert strict_session.post(f"{strict_server.url}models/", json=model).status_code == 201


def test_lenient_upload_notes_a_wrong_md5(server: HttpServer, session: requests.Session) -> None:
    first = put_chunk(session, f"{server.url}chunked_upload/", b"0123456789", 0, 10).json()
    answer = session.post(first["url"], json={"md5": "0" * 32})
    assert (answer.status_code, answer.json()["md5_matches"]) == (200, False)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\x",
        "..",
        ".",
        "a\x00b",
        "a\nb",
        "x" * 300,
        "名前.zip",
        "",
        "C:\\x",
        '"',
    ],
)
def test_hostile_file_name_stays_in_its_folder(
    server: HttpServer, session: requests.Session, recorder: Recorder, name: str
) -> None:
    before = {path for path in recorder.path.parent.rglob("*") if path.is_file()}
    answer = session.put(f"{server.url}chunked_upload/", data={"filename": name}, files={"file": ("f", b"content")})
    assert answer.status_code == 201
    made = {path for path in recorder.path.parent.rglob("*") if path.is_file()} - before
    (kept,) = [path for path in made if path.read_bytes() == b"content"]
    assert kept.parent == recorder.folder / "uploads"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "jobs/1/", {"color": "red"}),
        ("PATCH", "jobs/1/", {"status": "HAPPY"}),
        ("PATCH", "jobs/1/", [{"status": "RUNNING"}]),
        ("POST", "models/", {"name": "m", "color": "red"}),
        ("POST", "models/", {"name": ""}),
        ("POST", "models/", {"name": "m", "chunked_upload": 7}),
        ("POST", "logs/", {"event": "message", "data": "text"}),
        ("POST", "logs/", {"data": {}}),
        ("POST", "logs/", [{"event": "message", "data": {}}] * 1001),
        ("PUT", "trains/1/override_best_trial/", {"lr": 0.1}),
    ],
)
def test_strict_refuses_what_lenient_takes(
    server: HttpServer,
    session: requests.Session,
    strict_server: HttpServer,
    strict_session: requests.Session,
    strict: Recorder,
    method: str,
    path: str,
    body: Any,
) -> None:
    strict.create_job("n", {"action": "train", "params": {}}, job_id=1)
    assert session.request(method, server.url + path, json=body).status_code < 300
    assert strict_session.request(method, strict_server.url + path, json=body).status_code == 400


def test_strict_refuses_a_model_name_that_is_taken(strict_server: HttpServer, strict_session: requests.Session) -> None:
    sent = upload(strict_session, strict_server.url, b"content")
    body = {"name": "m", "chunked_upload": sent["id"]}
    assert strict_session.post(f"{strict_server.url}models/", json=body).status_code == 201
    assert strict_session.post(f"{strict_server.url}models/", json=body).status_code == 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_strict_refuses_numbers_that_are_no_json(
    server: HttpServer,
    session: requests.Session,
    strict_server: HttpServer,
    strict_session: requests.Session,
    number: str,
) -> None:
    body = b'{"event": "metric", "data": {"value": %s}}' % number.encode()
    assert session.post(f"{server.url}logs/", data=body).status_code == 201
    assert strict_session.post(f"{strict_server.url}logs/", data=body).status_code == 400


def test_unknown_job_is_made_when_lenient_only(
    server: HttpServer,
    session: requests.Session,
    strict_server: HttpServer,
    strict_session: requests.Session,
    recorder: Recorder,
) -> None:
    assert session.patch(f"{server.url}jobs/77/", json={"status": "RUNNING"}).status_code == 200
    assert recorder.job(77)["status"] == "RUNNING"
    assert strict_session.patch(f"{strict_server.url}jobs/77/", json={"status": "RUNNING"}).status_code == 404


def test_recording_holds_no_token(server: HttpServer, session: requests.Session, recorder: Recorder) -> None:
    entry = {"event": "message", "data": {"content": f"my token is {server.token}"}, "job": 1}
    session.post(f"{server.url}logs/?t={server.token}", json=entry)
    assert recorder.messages()[0]["content"] == "my token is ***"
    recorder.close()
    held = b"".join(path.read_bytes() for path in Path(recorder.path.parent).rglob("*") if path.is_file())
    assert server.token.encode() not in held
    assert b"some-tenant-of-theirs" not in held
