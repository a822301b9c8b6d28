"""Tests of `trialrun.backend.http`."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.backend import Call, Http, Tokens
from trialrun_hookspecs.errors import BackendError, BackendRefused, BackendUnavailable, BadValue

SECRET = "s3cret-token"
TOKENS = Tokens(access=SECRET, authorization=SECRET + "-2", tenant="tenant-77", agent="agent-88")
SENT = {
    "Synapse-Access-Token": "Token s3cret-token",
    "Authorization": "Token s3cret-token-2",
    "Synapse-Tenant": "Token tenant-77",
    "SYNAPSE-Agent": "Token agent-88",
}
READ = Call(method="GET", path="models/")


def ok(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.fixture
def http(raw_server: Any) -> Iterator[Http]:
    transport = Http(raw_server.url + "api", TOKENS, timeout=(2.0, 0.3))
    yield transport
    transport.close()


def secrets_of(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in SENT}


def test_every_token_goes_in_its_header(raw_server: Any, http: Http) -> None:
    http.send(READ)
    assert secrets_of(raw_server.asked[0].headers) == SENT


def test_only_tokens_that_are_set_are_sent(raw_server: Any) -> None:
    Http(raw_server.url, Tokens(access="Token abc ")).send(READ)
    assert secrets_of(raw_server.asked[0].headers) == {"Synapse-Access-Token": "Token abc"}


def test_credentials_of_netrc_are_not_sent(raw_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("NO_PROXY", "127.1")
    elsewhere = raw_server.url.replace("127.0.0.1", "127.1")  # a name that does not look like this machine's
    Http(elsewhere).send(READ)
    assert "Authorization" not in raw_server.asked[0].headers


def test_a_proxy_is_not_asked_for_this_machine(raw_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert Http(raw_server.url).send(READ).ok


@pytest.mark.parametrize("base", ["api", "api/"])
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("models/", "/api/models/?q=a%2Cb"),
        ("/api/models/?page=2", "/api/models/?page=2&q=a%2Cb"),
        ("{url}api/models/?page=2", "/api/models/?page=2&q=a%2Cb"),
        ("{url}elsewhere", "/elsewhere?q=a%2Cb"),
    ],
)
def test_paths_and_urls_are_found_under_the_base(raw_server: Any, base: str, path: str, target: str) -> None:
    transport = Http(raw_server.url + base)
    transport.send(Call(method="GET", path=path.format(url=raw_server.url), params=(("q", "a,b"),)))
    assert raw_server.asked[0].target == target


def test_calls_share_one_connection(raw_server: Any, http: Http) -> None:
    for _ in range(3):
        http.send(Call(method="POST", path="logs/", json=[{}]))
    assert {asked.connection for asked in raw_server.asked} == {1}


def test_a_body_and_its_key_arrive(raw_server: Any, http: Http) -> None:
    http.send(Call(method="POST", path="logs/", json=[{"ü": 1}], key="k-1"))
    asked = raw_server.asked[0]
    assert (asked.method, asked.body) == ("POST", '[{"ü": 1}]'.encode())
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Idempotency-Key"] == "k-1"


@pytest.mark.parametrize("status", [200, 204, 301, 404, 500])
def test_answers_of_any_status_are_answers(raw_server: Any, http: Http, status: int) -> None:
    raw_server.reply = lambda asked: ok(b"" if status == 204 else b"text", f"{status} X", "Retry-After: 3")
    answer = http.send(Call(method="POST", path="logs/", json=[]))
    assert answer.status == status
    assert answer.get_header("retry-after") == "3"


def dropped(asked: Any) -> bytes | None:
    return None


def silent(asked: Any) -> bytes | None:
    return b""


def cut_short(asked: Any) -> bytes | None:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfour"


def no_http(asked: Any) -> bytes | None:
    return b"SSH-2.0-OpenSSH_9.6\r\n\r\n"


@pytest.mark.parametrize("reply", [dropped, silent, cut_short, no_http])
def test_no_answer_is_unavailable(raw_server: Any, http: Http, reply: Callable[[Any], bytes | None]) -> None:
    raw_server.reply = reply
    with pytest.raises(BackendUnavailable, match="GET models/"):
        http.send(READ)
    assert len(raw_server.asked) == 1


def test_half_a_download_leaves_no_file(raw_server: Any, http: Http, tmp_path: Path) -> None:
    raw_server.reply = cut_short
    with pytest.raises(BackendUnavailable):
        http.send(Call(method="GET", path="file", save_to=tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_a_download_goes_to_its_file(raw_server: Any, http: Http, tmp_path: Path) -> None:
    raw_server.reply = lambda asked: ok(b"x" * 3_000_000)
    answer = http.send(Call(method="GET", path="file", save_to=tmp_path / "file"))
    assert (answer.status, answer.body) == (200, b"")
    assert (tmp_path / "file").read_bytes() == b"x" * 3_000_000


def test_a_disk_that_is_full_is_not_the_backends_fault(http: Http) -> None:
    with pytest.raises(OSError, match="nowhere") as caught:
        http.send(Call(method="GET", path="file", save_to=Path("/nowhere/at/all")))
    assert not isinstance(caught.value, BackendError)


def test_nobody_listening_is_unavailable(raw_servers: Any) -> None:
    with pytest.raises(BackendUnavailable, match=r"(?i)refused"):
        Http("http://127.0.0.1:9/").send(READ)


def test_another_origin_gets_no_token(raw_servers: Any) -> None:
    own, other = raw_servers(), raw_servers()
    transport = Http(own.url, TOKENS)
    assert transport.send(Call(method="GET", path=other.url + "bucket/file")).ok
    assert secrets_of(other.asked[0].headers) == {}


@pytest.mark.parametrize("status", ["301 X", "302 X", "303 X", "307 X", "308 X"])
def test_a_redirect_takes_no_token_along(raw_servers: Any, status: str) -> None:
    own, other = raw_servers(), raw_servers()
    own.reply = lambda asked: ok(b"", status, f"Location: {other.url}bucket/file?sig=1")
    transport = Http(own.url, TOKENS)
    assert transport.send(Call(method="GET", path="file", params=(("q", "1"),))).ok
    assert secrets_of(own.asked[0].headers) == SENT
    assert secrets_of(other.asked[0].headers) == {}
    assert other.asked[0].target == "/bucket/file?sig=1"


def test_a_redirect_at_home_keeps_the_token(raw_server: Any, http: Http) -> None:
    raw_server.reply = lambda asked: (
        ok(b"", "302 X", "Location: ../there") if asked.target == "/api/models/" else ok(b"here")
    )
    assert http.send(READ).body == b"here"
    assert raw_server.asked[1].target == "/api/there"
    assert secrets_of(raw_server.asked[1].headers) == SENT


def test_redirects_in_circles_end(raw_server: Any, http: Http) -> None:
    raw_server.reply = lambda asked: ok(b"", "302 X", "Location: /api/models/")
    with pytest.raises(BackendRefused, match="endlessly"):
        http.send(READ)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http://[", "http://host:99999/"])
def test_an_odd_url_from_an_answer_is_refused(http: Http, url: str) -> None:
    with pytest.raises(BackendRefused):
        http.send(Call(method="GET", path=url))


@pytest.mark.parametrize(
    "url", ["", "host", "ftp://host/", "http://", "http://u:s3cret-token@host/", "http://h/?q=s3cret-token", "http://["]
)
def test_a_backend_url_is_checked_without_showing_secrets(url: str) -> None:
    with pytest.raises(BadValue) as caught:
        Http(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token", [SECRET + "\r\nX: y", SECRET + "\n", "ü" + SECRET, SECRET + "\0"])
def test_a_token_that_breaks_headers_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(BadValue, match="tenant") as caught:
        Tokens(tenant=token)
    assert SECRET not in str(caught.value)


def everything_shown(error: BaseException) -> str:
    """Return everything that a log, a report or a pickle of the error could show."""
    chain: list[object] = []
    inner: BaseException | None = error
    while inner is not None:
        chain += [str(inner), repr(inner), vars(inner)]
        inner = inner.__cause__ or inner.__context__
    return repr(chain) + "".join(traceback.format_exception(error)) + repr(pickle.dumps(error))


@pytest.mark.parametrize("reply", [dropped, silent, cut_short, no_http])
def test_no_error_shows_a_secret(raw_server: Any, http: Http, reply: Callable[[Any], bytes | None]) -> None:
    raw_server.reply = reply
    with pytest.raises(BackendUnavailable) as caught:
        http.send(Call(method="GET", path=f"models/?signature={SECRET}"))
    shown = everything_shown(caught.value)
    assert SECRET not in shown
    assert "PreparedRequest" not in shown


def test_no_repr_shows_a_secret(http: Http) -> None:
    assert SECRET not in repr(TOKENS) + repr(http)


def test_a_refusal_that_echoes_a_token_does_not_show_it(raw_server: Any, http: Http) -> None:
    raw_server.reply = lambda asked: ok(repr(asked.headers).encode(), "400 X")
    answer = http.send(READ)
    assert b"Synapse-Access-Token" in answer.body
    assert SECRET.encode() not in answer.body
    assert b"tenant-77" not in answer.body
