"""Tests of `trialrun.recorder.bodies`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.recorder.bodies import read_body
from trialrun.recorder.replies import CallRefused

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON_VALUES)
def test_json_is_read_as_it_was_sent(value: Any) -> None:
    assert read_body("application/json", json.dumps(value).encode(), strict=True).value == value


@given(
    raw=st.binary(max_size=300), kind=st.sampled_from(["application/json", "", "multipart/form-data; boundary=b", "x"])
)
@example(raw=b"[" * 100_000, kind="application/json")
@example(raw=b"9" * 5000, kind="application/json")
@example(raw=b"\xff\xfe", kind="")
@example(raw=b"a=1&" * 2000, kind="application/x-www-form-urlencoded")
@example(raw=b"--b\r\n\r\n--b--", kind="multipart/form-data; boundary=b")
def test_any_bytes_are_read_or_refused(raw: bytes, kind: str) -> None:
    for strict in (True, False):
        with contextlib.suppress(CallRefused):
            read_body(kind, raw, strict=strict)


@given(content=st.binary(max_size=500), name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
@example(content=b"\r\n--boundary\r\n\r\n--", name="a")
@example(content=b"\r\n\r\n", name='quote"and\\back')
def test_multipart_of_requests_is_read_exactly(content: bytes, name: str) -> None:
    prepared = requests.Request(
        "PUT", "http://h/", files={"file": (name, content)}, data={"filename": name, "empty": ""}
    ).prepare()
    assert isinstance(prepared.body, bytes)
    body = read_body(prepared.headers["Content-Type"], prepared.body, strict=True)
    assert body.files["file"].content == content
    assert body.value == {"filename": name, "empty": ""}


def test_form_without_boundary_is_refused() -> None:
    with pytest.raises(CallRefused, match="boundary"):
        read_body("multipart/form-data", b"x", strict=False)


def test_incomplete_form_is_refused() -> None:
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf of the con'
    with pytest.raises(CallRefused, match="is incomplete"):
        read_body("multipart/form-data; boundary=b", cut, strict=False)


def test_name_that_is_not_ascii_is_read() -> None:
    raw = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''na%C3%AFve.zip\r\n\r\nx\r\n--b--\r\n"
    assert read_body("multipart/form-data; boundary=b", raw, strict=True).files["file"].filename == "naïve.zip"


def test_json_sent_as_a_form_by_a_careless_client_is_read() -> None:
    assert read_body("application/x-www-form-urlencoded", b'{"a": 1}', strict=False).value == {"a": 1}


def test_form_is_read_as_fields() -> None:
    assert read_body("application/x-www-form-urlencoded", b"md5=abc&b=", strict=True).value == {"md5": "abc", "b": ""}


def test_first_of_two_equal_keys_counts() -> None:
    assert read_body("", b'{"trial_id": "t", "a": {"x": 1, "x": 2}, "trial_id": 5}', strict=False).value == {
        "trial_id": "t",
        "a": {"x": 1},
    }
