"""Tests of `trialrun.backend.multipart`."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.backend.multipart import encode_multipart


def parts(body: bytes, content_type: str) -> list[Message]:
    """Return the parts as another implementation reads them."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = message_from_bytes(head + body)
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


@given(st.binary())
@example(b"")
@example(b"\r\n")
@example(b"\r\n--trialrun-\r\n")
def test_content_is_between_the_boundaries_unchanged(content: bytes) -> None:
    body, content_type = encode_multipart({"filename": "a.zip"}, "a.zip", content)
    boundary = content_type.partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == 3
    head, _, rest = body.rpartition(b"Content-Type: application/octet-stream\r\n\r\n")
    assert rest == content + b"\r\n--" + boundary + b"--\r\n"
    assert b'name="filename"\r\n\r\na.zip\r\n' in head


def test_another_reader_finds_field_and_file() -> None:
    field, file = parts(*encode_multipart({"filename": "ü.zip"}, "m.zip", b"abc"))
    assert field.get_payload(decode=True) == "ü.zip".encode()
    assert file.get_filename() == "m.zip"
    assert file.get_payload(decode=True) == b"abc"


@given(st.text())
@example('a\rb\nc"d')
def test_a_file_name_cannot_add_headers(name: str) -> None:
    body, _ = encode_multipart({}, name.encode(errors="replace").decode(), b"")
    head = body.partition(b"\r\n\r\n")[0]
    assert (head.count(b"\r"), head.count(b"\n")) == (2, 2)
    assert head.count(b'"') == 4


def test_equal_input_gives_equal_bytes() -> None:
    assert encode_multipart({"a": "b"}, "f", b"x") == encode_multipart({"a": "b"}, "f", b"x")
