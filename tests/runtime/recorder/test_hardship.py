"""The recorder holds: killed while it writes, on a full disk, with slow clients, and under whatever is sent to it."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialrun.recorder import Fixtures, Recorder
from trialrun.recorder.api import ROUTES
from trialrun.recorder.recorder import HttpServer

LONG = 20.0
WRITER = """if True:
    import os, sys
    from pathlib import Path
    from trialrun.recorder import Recorder
    recorder = Recorder(Path(sys.argv[1]))
    life = sys.argv[2]
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    head = b'--b\\r\\nContent-Disposition: form-data; name="file"; filename="f"\\r\\n\\r\\n'
    chunk = head + b"x" * 1000 + b"\\r\\n--b--\\r\\n"
    upload = recorder.handle("PUT", "chunked_upload", (), form, chunk).json()["url"]
    number = 0
    while True:
        entries = ",".join('{"event":"m","job":1,"key":"%s-%d-%d","data":{}}' % (life, number, i) for i in range(20))
        assert recorder.handle("POST", "logs", body=b"[" + entries.encode() + b"]").status == 201
        assert recorder.handle("PUT", upload, (), form, chunk).status == 200
        os.write(1, b"%d\\n" % number)  # acknowledged
        number += 1
"""


def test_kill_9_while_it_writes_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    acknowledged: dict[str, int] = {}
    for life in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(life)], stdout=subprocess.PIPE, bufsize=0
        )
        assert writer.stdout is not None
        lines = 0
        for _ in range(random.Random(life).randint(1, 40)):
            lines += bool(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.read().count(b"\n")
        writer.stdout.close()
        writer.wait(LONG)
        acknowledged[str(life)] = lines
    with Recorder(path) as recorder:
        assert recorder.handle("POST", "logs", body=b'{"event": "m"}').status == 201
        keys = [event["key"] for event in recorder.events("m") if event["key"]]
        assert len(keys) == len(set(keys))
        for writer_id, count in acknowledged.items():
            batches = [int(key.split("-")[1]) for key in keys if key.startswith(f"{writer_id}-")]
            assert batches == sorted(batches)
            assert count * 20 <= len(batches) <= (count + 1) * 20
            assert len(batches) % 20 == 0
        uploads = recorder._store.fetch_all("SELECT * FROM uploads")
        assert len(uploads) == 6
        for row in uploads:
            assert (recorder.folder / "uploads" / row["path"]).stat().st_size >= row["offset"]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_on_a_full_disk_what_is_stored_stays_readable(recorder: Recorder) -> None:
    entry = json.dumps({"event": "message", "job": 1, "data": {"content": "x" * 20_000}}).encode()
    assert recorder.handle("POST", "logs", body=entry).status == 201
    pages = recorder._store.fetch_all("PRAGMA page_count")[0][0]
    recorder._store.fetch_all(f"PRAGMA max_page_count = {pages}")
    replies = [recorder.handle("POST", "logs", body=entry) for _ in range(5)]
    assert {reply.status for reply in replies} == {507}
    assert "disk is full" in replies[0].json()["detail"]
    assert len(recorder.messages()) == 1
    with Recorder.open(recorder.path) as reader:
        assert reader.messages() == recorder.messages()


def asked(server: HttpServer, path: str, *more: str) -> bytes:
    lines = [f"GET /{path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Token {server.token}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.fixture
def crowd(server: HttpServer) -> Iterator[list[socket.socket]]:
    """Connections that want something and do not come to the point."""
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=LONG) for _ in range(40)]
    yield connections
    for connection in connections:
        connection.close()


def served(server: HttpServer) -> bool:
    headers = {"Authorization": f"Token {server.token}"}
    entry = {"event": "message", "data": {"content": "x"}}
    return requests.post(f"{server.url}logs/", json=entry, headers=headers, timeout=LONG).status_code == 201


def test_slow_readers_hold_up_nobody(
    server: HttpServer, recorder: Recorder, crowd: list[socket.socket], tmp_path: Path
) -> None:
    (tmp_path / "big.bin").write_bytes(random.Random(1).randbytes(8_000_000))
    recorder.fixtures.add_checkpoint(5, tmp_path / "big.bin")
    path = recorder.handle("GET", "models/5").json()["file"].partition("/trialrun/")[2]
    for connection in crowd:
        connection.sendall(asked(server, f"trialrun/{path}"))
        assert connection.recv(12) == b"HTTP/1.1 200"  # and then no more
    assert served(server)


def test_slow_senders_hold_up_nobody(server: HttpServer, crowd: list[socket.socket]) -> None:
    for number, connection in enumerate(crowd):
        whole = asked(server, "models/", "Content-Length: 1000000") + b"x"
        connection.sendall(whole[: -number % len(whole)])
    assert served(server)


SENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["event", "data", "job", "key", "datetime", "file", "name", "status", "chunked_upload", "trial_id", "md5",
         "kind", "first", "progress_record", "result"]) | st.text(max_size=3), inner, max_size=5),
    max_leaves=10,
)  # fmt: skip
PATHS = [route.replace("#", "1").replace("*", "x") for route, _ in ROUTES]


@pytest.fixture(scope="module", params=[False, True], ids=["lenient", "strict"])
def target(request: pytest.FixtureRequest) -> Iterator[HttpServer]:
    fixtures = Fixtures()
    fixtures.add_dataset(1, [{"category": "a", "data": 1, "files": {"f": b"x"}}])
    with Recorder(strict=request.param, fixtures=fixtures, max_body=100_000) as recorder, recorder.server() as server:
        recorder.create_job("n", {"action": "train", "params": {"name": "n"}})
        yield server


def answer(server: HttpServer, raw: bytes, *, ends: bool) -> int:
    """The status of whatever comes back; 0 when the server hangs up without a word. `ends`: no more is to come."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        try:
            said = connection.recv(100)
        except ConnectionResetError:
            return 0
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


FUZZING = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZING
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    path=st.sampled_from(PATHS),
    query=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=20),
    body=SENT.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200),
    kind=st.sampled_from(
        ["application/json", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded", ""]
    ),
    with_token=st.booleans(),
)  # fmt: skip
def test_no_body_at_any_route_is_a_500(
    target: HttpServer, method: str, path: str, query: str, body: bytes, kind: str, with_token: bool
) -> None:
    query = "".join(letter for letter in query if letter not in " #\r\n")
    head = [f"{method} /{path}/?{query} HTTP/1.1", f"Host: 127.0.0.1:{target.port}", f"Content-Length: {len(body)}"]
    head += [f"Content-Type: {kind}", "Connection: close"]
    head += [f"Authorization: Token {target.token}"] if with_token else []
    status = answer(target, "\r\n".join([*head, "", ""]).encode() + body, ends=False)
    target.recorder.heal()
    assert 200 <= status < 500
    assert with_token or path == "health" or status in (401, 400, 405)


@FUZZING
@given(raw=st.binary(max_size=300) | st.binary(max_size=100).map(lambda noise: b"POST /logs/ HTTP/1.1\r\n" + noise))
def test_no_bytes_on_the_socket_are_a_500(target: HttpServer, raw: bytes) -> None:
    assert answer(target, raw, ends=True) in (0, *range(400, 500))


def test_the_server_lives_after_all_that(target: HttpServer) -> None:
    threads = [
        threading.Thread(target=answer, args=(target, bytes([number]) * 50), kwargs={"ends": True})
        for number in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert served(target)


def test_a_body_over_the_bound_is_a_413_and_the_next_call_is_served(target: HttpServer) -> None:
    headers: dict[str, Any] = {"Authorization": f"Token {target.token}"}
    assert requests.post(f"{target.url}logs/", b"x" * 100_001, headers=headers, timeout=LONG).status_code == 413
    assert served(target)
