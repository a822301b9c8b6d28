"""Tests of `trialrun.recorder.access`."""

from __future__ import annotations

import pytest

from trialrun.recorder.access import Endpoint, check_host, check_token, collect_secrets, mask_headers, sign
from trialrun.recorder.replies import CallRefused

TOKEN = "a-token-that-is-long"
DOOR = Endpoint(token=TOKEN, hosts=frozenset({"127.0.0.1:80", "localhost:80"}))


@pytest.mark.parametrize("name", ["authorization", "synapse-access-token"])
@pytest.mark.parametrize("value", [f"Token {TOKEN}", f"token  {TOKEN} "])
def test_token_opens_in_either_header(name: str, value: str) -> None:
    check_token(DOOR, {name: value})


@pytest.mark.parametrize(
    "value",
    ["", TOKEN, "Token", "Token wrong", f"Token {TOKEN}x", f"Token {TOKEN} {TOKEN}", "Token é", f"Basic {TOKEN}"],
)
def test_other_tokens_are_refused(value: str) -> None:
    with pytest.raises(CallRefused) as refused:
        check_token(DOOR, {"authorization": value})
    assert refused.value.reply.status == 401


def test_door_without_token_is_open() -> None:
    check_token(Endpoint(), {})


@pytest.mark.parametrize("host", ["127.0.0.1:80", "LOCALHOST:80"])
def test_own_host_is_served(host: str) -> None:
    check_host(DOOR, {"host": host})
    check_host(DOOR, {"host": host, "origin": f"http://{host}"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example"},
        {"host": "127.0.0.1:81"},
        {"host": "127.0.0.1:80", "origin": "null"},
        {"host": "127.0.0.1:80", "origin": "http://evil.example"},
        {"host": "127.0.0.1:80", "origin": "https://127.0.0.1:80"},
        {"host": "127.0.0.1:80", "origin": "http://localhost:80"},
    ],
)
def test_foreign_host_or_origin_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(CallRefused) as refused:
        check_host(DOOR, headers)
    assert refused.value.reply.status == 403


def test_secrets_of_a_call_are_its_tokens() -> None:
    headers = {
        "authorization": f"Token {TOKEN}",
        "synapse-tenant": "Token another-long-one",
        "accept": "application/json",
    }
    assert set(collect_secrets(DOOR, headers)) == {TOKEN, "another-long-one"}
    assert mask_headers(headers) == {"authorization": "***", "synapse-tenant": "***", "accept": "application/json"}


def test_signature_depends_on_path_and_key() -> None:
    assert len({sign(key, path) for key in (b"1", b"2") for path in ("a", "b")}) == 4
