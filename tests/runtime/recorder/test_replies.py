"""Tests of `trialrun.recorder.replies`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder.replies import Reply, json_reply, refuse


def refuse_constant(name: str) -> Any:
    raise AssertionError(name)


@given(value=st.dictionaries(st.text(), st.lists(st.floats())))
def test_numbers_that_are_no_json_go_out_as_null(value: dict[str, Any]) -> None:
    told = json.loads(json_reply(200, value).body, parse_constant=refuse_constant)
    assert told.keys() == value.keys()


def test_reply_of_a_file_gives_its_content(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x")
    assert Reply(status=200, file=file).body == b"x"


@pytest.mark.parametrize("status", [400, 404, 507])
def test_refusal_says_why(status: int) -> None:
    reply = refuse(status, "because", offset=3).reply
    assert (reply.status, reply.json()) == (status, {"detail": "because", "offset": 3})
