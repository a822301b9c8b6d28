"""Tests of `trialrun.backend.memory`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialrun.backend import Answer, Call, Memory
from trialrun_hookspecs.errors import BadValue


def sent(call: Call) -> Call:
    """Return the call that the handler of a Memory gets."""
    seen: list[Call] = []

    def handler(given: Call) -> Answer:
        seen.append(given)
        return Answer(status=200)

    Memory(handler).send(call)
    return seen[0]


def test_json_arrives_as_it_would_over_a_wire() -> None:
    call = sent(Call(method="POST", path="logs/", json={"pair": (1, 2), 3: "x"}, key="k"))
    assert call.json == {"pair": [1, 2], "3": "x"}
    assert call.body == b'{"pair": [1, 2], "3": "x"}'
    assert call.headers == {"Content-Type": "application/json", "Idempotency-Key": "k"}


def test_what_a_wire_would_refuse_is_refused_here() -> None:
    with pytest.raises(BadValue):
        sent(Call(method="POST", path="logs/", json=[float("nan")]))


@pytest.mark.parametrize("url", ["http://host:80/models/?page=2&q=a%20b&q=", "/models/?page=2&q=a%20b&q="])
def test_a_url_from_an_answer_becomes_path_and_parameters(url: str) -> None:
    call = sent(Call(method="GET", path=url, params=(("x", "1"),)))
    assert call.path == "models/"
    assert call.params == (("page", "2"), ("q", "a b"), ("q", ""), ("x", "1"))


def answering(**parts: Any) -> Memory:
    return Memory(lambda call: Answer(**parts))


def test_a_download_is_written_to_its_file(tmp_path: Path) -> None:
    call = Call(method="GET", path="file", save_to=tmp_path / "file")
    assert answering(status=200, body=b"content").send(call).body == b""
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_refused_download_leaves_no_file(tmp_path: Path) -> None:
    call = Call(method="GET", path="file", save_to=tmp_path / "file")
    assert answering(status=404, body=b"no").send(call).body == b"no"
    assert not (tmp_path / "file").exists()
