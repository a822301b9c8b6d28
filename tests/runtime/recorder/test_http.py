"""The recorder behind a socket, as `trialrun.web.server` serves it."""

from __future__ import annotations

import http.client
import socket
import threading
from pathlib import Path

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer
from trialrun.web.server import _bind_socket
from trialrun_hookspecs.errors import UsageError


def headers(server: HttpServer) -> dict[str, str]:
    return {"Authorization": f"Token {server.token}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "::", ""])
def test_host_that_others_reach_is_refused(recorder: Recorder, host: str) -> None:
    with pytest.raises(UsageError, match="this machine only"):
        recorder.server(host)


def test_host_that_others_reach_can_be_allowed(recorder: Recorder) -> None:
    with recorder.server("0.0.0.0", allow_remote=True) as server:
        answer = requests.get(f"http://127.0.0.1:{server.port}/models/", headers=headers(server))
        assert answer.status_code == 200
        assert requests.get(f"http://127.0.0.1:{server.port}/models/").status_code == 401


def test_port_that_is_taken_is_refused(recorder: Recorder, server: HttpServer) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        recorder.server(port=server.port).start()


def test_stopped_server_listens_no_more(recorder: Recorder) -> None:
    with recorder.server() as server, requests.Session() as kept_alive:
        assert kept_alive.get(f"{server.url}health/").status_code == 200
        server.stop()
        server.stop()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}health/")


def test_tokens_differ_between_servers(recorder: Recorder) -> None:
    assert len({recorder.server().token for _ in range(20)}) == 20


def test_token_of_the_recorder_is_the_server_s(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.sqlite", token="chosen-by-the-caller") as recorder:
        assert recorder.server().token == "chosen-by-the-caller"
        assert recorder.handle("GET", "models").status == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
def test_rebound_host_is_refused(server: HttpServer, host: str) -> None:
    assert requests.get(f"{server.url}models/", headers={**headers(server), "Host": host}).status_code == 403


def test_localhost_is_its_own_address(server: HttpServer) -> None:
    sent = {**headers(server), "Host": f"localhost:{server.port}"}
    url = f"{server.url}sdk/ground_truth_events/?ground_truth_dataset_versions=123"
    assert requests.get(url, headers=sent).json()["next"].startswith(f"http://localhost:{server.port}/")


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_foreign_origin_is_refused(server: HttpServer, origin: str) -> None:
    answer = requests.get(f"{server.url}models/", headers={**headers(server), "Origin": origin})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_own_origin_is_served(server: HttpServer) -> None:
    sent = {**headers(server), "Origin": server.url.rstrip("/")}
    assert requests.get(f"{server.url}models/", headers=sent).status_code == 200


@pytest.mark.parametrize("chunked", [True, False])
def test_body_over_the_limit_is_a_413(recorder: Recorder, server: HttpServer, chunked: bool) -> None:
    recorder.api.max_body = 100_000
    body = iter([b"x" * 60_000] * 5) if chunked else b"x" * 300_000
    answer = requests.post(f"{server.url}logs/", data=body, headers=headers(server))
    assert answer.status_code == 413
    assert recorder.requests() == []


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /logs/ HTTP/1.1\r\nHost: %s\r\nContent-Length: -5\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /models/%00%ff%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_nonsense_on_the_socket_gets_a_4xx(server: HttpServer, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_client_that_leaves_in_the_middle_does_no_harm(server: HttpServer, recorder: Recorder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("POST", "/logs/")
    connection.putheader("Authorization", f"Token {server.token}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b'{"event": "message", "data": {}}')
    connection.close()
    entry = {"event": "message", "data": {"content": "after"}}
    assert requests.post(f"{server.url}logs/", json=entry, headers=headers(server)).status_code == 201
    assert [message["content"] for message in recorder.messages()] == ["after"]


def test_writers_at_once_lose_nothing(server: HttpServer, recorder: Recorder) -> None:
    """Eight clients, each sending every request twice: each entry is there once, in the order of its client."""

    def send(trial: str) -> None:
        with requests.Session() as session:
            session.headers.update(headers(server))
            for batch in range(5):
                entries = [
                    {"event": "metric", "job": 1, "key": f"{trial}-{batch}-{i}",
                     "data": {"key": "loss", "value": batch * 20 + i, "trial_id": trial}}
                    for i in range(20)
                ]  # fmt: skip
                for _ in range(2):
                    assert session.post(f"{server.url}logs/", json=entries).status_code == 201

    threads = [threading.Thread(target=send, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        assert [metric["value"] for metric in recorder.metrics(trial_id=f"t{number}")] == list(range(100))


def test_same_key_at_once_has_one_effect(server: HttpServer, recorder: Recorder) -> None:
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait(10)
        requests.post(f"{server.url}models/", json={"name": "m"}, headers={**headers(server), "Idempotency-Key": "k"})

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.models()) == 1
    assert len(recorder.requests("models")) == 8


def test_answers_are_not_sniffed_or_kept(server: HttpServer) -> None:
    answer = requests.get(f"{server.url}health/")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "uvicorn" not in str(answer.headers)


def test_listener_names_its_protocol() -> None:
    """Else asyncio leaves Nagle's algorithm on, and answers on a connection that is kept take 40 ms each."""
    with _bind_socket("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
