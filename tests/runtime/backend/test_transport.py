"""Tests of `trialrun.backend.transport`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.backend import Answer, Call
from trialrun_hookspecs.errors import BackendRefused, BadValue

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON.filter(lambda value: value is not None and "\\ud" not in json.dumps(value)))
def test_encoding_keeps_the_value(value: object) -> None:
    body = Call(method="POST", path="logs/", json=value).with_json_body().body
    assert body is not None
    assert json.loads(body) == value


@pytest.mark.parametrize("value", [{"loss": float("nan")}, [float("inf")], {"x": {1, 2}}, [object()]])
def test_what_json_cannot_say_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(BadValue, match="POST logs/"):
        Call(method="POST", path="logs/", json=value).with_json_body()


def test_half_a_surrogate_is_refused_as_a_bad_value() -> None:
    with pytest.raises(BadValue):
        Call(method="POST", path="logs/", json=["\ud800"]).with_json_body()


def test_a_call_is_named_without_its_query() -> None:
    call = Call(method="GET", path="https://store/file.zip?signature=s3cret#part", json={"x": "s3cret"})
    assert str(call) == "GET https://store/file.zip"
    assert "s3cret" not in repr(replace(call, path="models/", body=b"s3cret"))


def test_key_and_content_type_become_headers() -> None:
    call = Call(
        method="POST", path="logs/", json=[], key="k1", headers={"Content-Range": "bytes 0-0/1"}
    ).with_json_body()
    assert call.to_headers() == {
        "Content-Range": "bytes 0-0/1",
        "Content-Type": "application/json",
        "Idempotency-Key": "k1",
    }


def test_headers_are_found_in_any_case() -> None:
    assert Answer(status=200, headers={"rEtry-aFter": "3"}).get_header("Retry-After") == "3"
    assert Answer(status=200).get_header("Retry-After") is None


@pytest.mark.parametrize(("status", "passing"), [(200, False), (404, False), (408, True), (429, True), (503, True)])
def test_passing_answers_are_those_that_may_change(status: int, passing: bool) -> None:
    assert Answer(status=status).retryable is passing


def test_an_answer_that_is_no_json_is_a_refusal_that_shows_it() -> None:
    with pytest.raises(BackendRefused, match="<html>") as caught:
        Answer(status=200, body=b"<html>" + b"x" * 10_000).json()
    assert caught.value.status == 200
    assert len(str(caught.value)) < 600
