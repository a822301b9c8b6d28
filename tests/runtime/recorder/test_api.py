"""Tests of `trialrun.recorder.api`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trialrun.recorder import Fixtures, Recorder
from trialrun.recorder.access import Endpoint
from trialrun.recorder.api import ROUTES

PATHS = [route.replace("#", "1").replace("*", "x") for route, _ in ROUTES]
FIELDS = ["event", "data", "job", "key", "datetime", "file", "name", "status", "chunked_upload", "trial_id", "result"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "nonsense"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS) | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module", params=[False, True], ids=["lenient", "strict"])
def fuzzed(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    fixtures = Fixtures()
    fixtures.add_dataset(1, [{"category": "a", "data": 1, "files": {"f": b"x"}}])
    with Recorder(strict=request.param, fixtures=fixtures) as recorder:
        recorder.create_job("n", {"action": "train", "params": {"name": "n"}})
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--b--\r\n'
        recorder.handle("PUT", "chunked_upload", (), {"Content-Type": "multipart/form-data; boundary=b"}, form)
        yield recorder


@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS) | st.text(max_size=20),
    params=st.lists(
        st.tuples(
            st.sampled_from(["name", "params", "page", "page_size", "fields", "ids_ex", "is_active", "signature"])
            | st.just("ground_truth_dataset_versions"),
            st.text(max_size=8) | st.integers().map(str),
        ),
        max_size=3,
    ),
    headers=st.dictionaries(
        st.sampled_from(["Content-Range", "Idempotency-Key", "Authorization", "Content-Type"]),
        st.text(max_size=20)
        | st.sampled_from(["bytes 0-0/1", "bytes 9-1/5", "multipart/form-data; boundary=b", "application/json"]),
        max_size=3,
    ),
    body=JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=100)
    | st.binary(max_size=50).map(
        lambda raw: b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + raw + b'"\r\n\r\nx\r\n--b--\r\n'
    ),
)
@example(method="GET", path="models", params=[("name", "\ud800")], headers={}, body=b"")
@example(method="\ud800", path="\ud800", params=[("\ud800", "\ud800")], headers={"Idempotency-Key": "\ud800"}, body=b"")
@example(method="POST", path="logs", params=[], headers={}, body=b'{"data":' + b"[" * 900 + b"]" * 900 + b"}")
@example(method="PATCH", path="jobs/9223372036854775807", params=[], headers={}, body=b'{"a": 1}')
@example(method="PATCH", path="jobs/9223372036854775808", params=[], headers={}, body=b'{"a": 1}')
@example(method="POST", path="models", params=[], headers={}, body=b'{"name": ["\\ud800"], "chunked_upload": 1e999}')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_call_breaks_the_recorder(
    fuzzed: Recorder,
    method: str,
    path: str,
    params: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
) -> None:
    reply = fuzzed.handle(method, path, params, headers, body)
    fuzzed.heal()
    assert 200 <= reply.status < 500
    if reply.file is None and reply.headers.get("Content-Type") == "application/json" and method != "HEAD":
        json.loads(reply.content)


def test_what_was_fuzzed_can_be_read(fuzzed: Recorder) -> None:
    fuzzed.handle("POST", "logs", body=b'[{"event": "trials", "data": 3}, {"event": "trials_delta", "job": 1}]')
    fuzzed.events()
    fuzzed.metrics()
    fuzzed.tables()
    fuzzed.table_rows(1)
    fuzzed.jobs()
    fuzzed.models()
    fuzzed.progress(1)
    assert fuzzed.requests()


@pytest.mark.parametrize("path", PATHS)
def test_route_refuses_a_method_that_it_lacks(recorder: Recorder, path: str) -> None:
    reply = recorder.handle("OPTIONS", path)
    assert reply.status == 405
    assert reply.headers["Allow"]


@pytest.mark.parametrize("path", ["logs", "logs/", "/logs/", "http://trialrun.test/logs/"])
def test_slashes_at_the_ends_do_not_matter(recorder: Recorder, path: str) -> None:
    assert recorder.handle("POST", path, body=b'{"event": "e", "data": {}}').status == 201


def test_health_needs_no_token(recorder: Recorder) -> None:
    endpoint = Endpoint(token="secret-secret-secret")
    assert recorder.handle("GET", "health/", endpoint=endpoint).status == 200
    assert {recorder.handle("GET", path, endpoint=endpoint).status for path in PATHS if path != "health"} == {401}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{"Host": "evil.test"}, {"Host": "own:1", "Origin": "http://evil.test"}, {}])
def test_every_route_asks_for_its_own_host_first(recorder: Recorder, path: str, headers: dict[str, str]) -> None:
    endpoint = Endpoint(token="secret-secret-secret", hosts=frozenset({"own:1"}))
    token = {"Authorization": f"Token {endpoint.token}"}
    assert recorder.handle("GET", path, (), {**token, **headers}, endpoint=endpoint).status == 403
    assert recorder.handle("GET", path, (), {**token, "Host": "own:1"}, endpoint=endpoint).status != 403


def test_file_needs_a_token_or_its_own_signature(recorder: Recorder) -> None:
    endpoint = Endpoint(token="secret-secret-secret")
    params = {"ground_truth_dataset_versions": "123"}
    headers = {"Authorization": f"Token {endpoint.token}"}
    rows = recorder.handle("GET", "sdk/ground_truth_events", params, headers, endpoint=endpoint).json()["results"]
    first, second = rows[0]["files"]["image"], rows[1]["files"]["image"]
    signature = first.partition("?")[2]
    assert recorder.handle("GET", first, endpoint=endpoint).body == b"png0"
    assert recorder.handle("GET", f"{second.partition('?')[0]}?{signature}", endpoint=endpoint).status == 401
    assert recorder.handle("GET", first.partition("?")[0], endpoint=endpoint).status == 401
    assert recorder.handle("GET", first.partition("?")[0], (), headers, endpoint=endpoint).body == b"png0"


def test_refused_stranger_is_not_recorded(recorder: Recorder) -> None:
    recorder.handle("POST", "logs", body=b"{}", endpoint=Endpoint(token="secret-secret-secret"))
    assert recorder.requests() == []


def test_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.sqlite", max_body=100) as recorder:
        assert recorder.handle("POST", "logs", body=b"[" + b" " * 98 + b"]").status == 201
        assert recorder.handle("POST", "logs", body=b"[" + b" " * 99 + b"]").status == 413


def test_full_disk_is_a_507_that_can_be_sent_again(recorder: Recorder) -> None:
    body = json.dumps({"event": "e", "data": {"x": "y" * 50_000}, "job": 1}).encode()
    headers = {"Idempotency-Key": "k"}
    pages = recorder._store.fetch_all("PRAGMA page_count")[0][0]
    recorder._store.fetch_all(f"PRAGMA max_page_count = {pages + 2}")
    assert recorder.handle("POST", "logs", (), headers, body).status == 507
    recorder._store.fetch_all("PRAGMA max_page_count = 100000")
    reply = recorder.handle("POST", "logs", (), headers, body)
    assert (reply.status, reply.json()["stored"], "Idempotency-Replayed" in reply.headers) == (201, 1, False)


def test_full_disk_under_an_upload_is_a_507_that_can_be_sent_again(recorder: Recorder) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n0123456789\r\n--b--\r\n'
    upload = recorder.handle("PUT", "chunked_upload", (), {**form, "Content-Range": "bytes 0-9/20"}, body).json()
    (kept,) = (recorder.folder / "uploads").iterdir()
    aside = kept.rename(kept.with_name("aside"))
    kept.symlink_to("/dev/full")
    following = {**form, "Content-Range": "bytes 10-19/20"}
    assert recorder.handle("PUT", upload["url"], (), following, body).status == 507
    kept.unlink()
    aside.rename(kept)
    assert recorder.handle("GET", upload["url"]).json()["offset"] == 10
    assert recorder.handle("PUT", upload["url"], (), following, body).json()["offset"] == 20


def test_locked_recording_is_a_503(recorder: Recorder) -> None:
    recorder._store.fetch_all("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(recorder.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reply = recorder.handle("POST", "logs", body=b'{"event": "e"}')
    other.close()
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


def test_refused_call_leaves_only_its_record(recorder: Recorder) -> None:
    body = b'[{"status": "RUNNING"}, 7]'
    assert recorder.handle("PATCH", "jobs/5/", (), {"Idempotency-Key": "k"}, body).status == 400
    assert recorder.jobs() == []
    (request,) = recorder.requests("jobs")
    assert (request["status"], request["body"]) == (400, [{"status": "RUNNING"}, 7])
    assert recorder.handle("PATCH", "jobs/5/", (), {"Idempotency-Key": "k"}, b'{"status": "RUNNING"}').status == 200


def test_key_counts_for_its_own_call_only(recorder: Recorder) -> None:
    headers = {"Idempotency-Key": "k"}
    for path in ("jobs/1", "jobs/2"):
        recorder.handle("PATCH", path, (), headers, b'{"status": "RUNNING"}')
    assert [job["id"] for job in recorder.jobs()] == [1, 2]


def test_headers_of_any_case_count(recorder: Recorder) -> None:
    for name in ("IDEMPOTENCY-KEY", "idempotency-key"):
        recorder.handle("POST", "logs", (), {name: "k"}, b'{"event": "message", "data": {}}')
    assert len(recorder.messages()) == 1


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=4", "page=" + "9" * 30])
def test_page_that_is_not_there_is_a_404(recorder: Recorder, query: str) -> None:
    path = f"sdk/ground_truth_events/?ground_truth_dataset_versions=123&page_size=100&{query}"
    assert recorder.handle("GET", path).status == 404


@pytest.mark.parametrize("size", [1, 7, 100, 249, 250, 1000])
def test_pages_make_up_the_list(recorder: Recorder, size: int) -> None:
    url = f"sdk/ground_truth_events/?ground_truth_dataset_versions=123&page_size={size}"
    ids: list[Any] = []
    previous = None
    while url:
        page = recorder.handle("GET", url).json()
        assert (page["previous"] is None) == (previous is None)
        previous, url = url, page["next"]
        ids += [row["id"] for row in page["results"]]
    assert ids == list(range(1, 251))


def test_head_has_no_body(recorder: Recorder) -> None:
    reply = recorder.handle("HEAD", "models/")
    assert (reply.status, reply.body) == (200, b"")


def test_unknown_release_is_made_up_when_lenient_only(recorder: Recorder, strict: Recorder) -> None:
    assert recorder.handle("GET", "plugin_releases/3/", {"expand": "plugin"}).json()["plugin"]["code"] == "plugin-3"
    assert recorder.handle("GET", "plugin_releases/3/").json()["plugin"] == 3
    assert strict.handle("GET", "plugin_releases/3/").status == 404
