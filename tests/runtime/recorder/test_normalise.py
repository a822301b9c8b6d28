"""Tests of `trialrun.recorder.normalise`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.recorder.normalise import (
    decode_query_name,
    normalize_progress,
    parse_entry,
    parse_id,
    safe_file_name,
    to_utc,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(moment=st.datetimes(timezones=st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))))
@example(moment=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))
def test_time_with_an_offset_is_the_same_moment(moment: datetime) -> None:
    stored = datetime.fromisoformat(to_utc(moment.isoformat(), NOW))
    assert stored.utcoffset() == timedelta(0)
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        expected = NOW
    assert stored == expected


def test_naive_utc_and_naive_local_times_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    try:
        assert to_utc("2026-03-01T11:59:58", NOW) == "2026-03-01T11:59:58+00:00"
        assert to_utc("2026-03-01 20:59:58", NOW) == "2026-03-01T11:59:58+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("sent", [1772366400, 1772366400.0, 1772366400000, "2026-03-01T12:00:00Z"])
def test_numbers_are_seconds_or_milliseconds(sent: Any) -> None:
    assert to_utc(sent, NOW - timedelta(days=1)) == "2026-03-01T12:00:00+00:00"


@given(sent=JSON_VALUES)
@example(sent=1e308)
@example(sent=float("nan"))
def test_any_time_becomes_one_in_utc(sent: Any) -> None:
    assert datetime.fromisoformat(to_utc(sent, NOW)).utcoffset() == timedelta(0)


@given(
    sent=st.dictionaries(
        st.sampled_from(["event", "data", "datetime", "job", "file", "key", "level", "\ud800"]), JSON_VALUES
    )
)
@example(sent={"event": "\ud800", "data": {"trial_id": "\udfff"}, "key": "\ud800"})
def test_any_entry_can_be_stored(sent: dict[str, Any]) -> None:
    made = parse_entry(sent, NOW)
    for column in (made.event, made.trial_id, made.key, made.file, made.time, made.data):
        assert column is None or column.encode() is not None
    assert repr(json.loads(made.data)) == repr(sent.get("data", {}))
    assert made.job >= 0


def test_fields_that_have_no_column_are_kept() -> None:
    made = parse_entry({"event": "e", "data": {}, "level": "info", "step": 3}, NOW)
    assert json.loads(made.extra or "") == {"level": "info", "step": 3}


@pytest.mark.parametrize(
    "record",
    [
        {"overall": 0.5, "categories": {"train": {"p": 1}}},
        {"overall": 0.5, "steps": {"train": {"p": 1}}},
        {"current_progress": {"overall": 0.5, "categories": {"train": {"p": 1}}}},
    ],
)
def test_categories_are_told_like_steps(record: dict[str, Any]) -> None:
    assert normalize_progress(record) == {"overall": 0.5, "categories": {"train": {"p": 1}}}


def test_list_of_steps_is_named() -> None:
    found = normalize_progress({"steps": [{"name": "dataset", "p": 1}, {"p": 2}]})
    assert found["categories"] == {"dataset": {"name": "dataset", "p": 1}, "1": {"p": 2}}


@given(record=JSON_VALUES)
def test_any_progress_has_one_shape(record: Any) -> None:
    assert normalize_progress(record).keys() == {"overall", "categories"}


@given(name=st.text())
def test_encoded_name_is_understood(name: str) -> None:
    assert decode_query_name(name.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")) == name


@pytest.mark.parametrize("name", ["a:b", "a,b", "50%", "100%25:", "%zz", "%41"])
def test_name_that_was_not_encoded_is_understood(name: str) -> None:
    assert decode_query_name(name) == name


@given(sent=st.text() | st.text("./\\\x00ab:", max_size=300))
@example(sent="../../etc/passwd")
@example(sent="a" * 500 + ".zip")
@example(sent="." * 90 + ".zip")
def test_file_name_is_one_short_component(sent: str) -> None:
    name = safe_file_name(sent)
    assert 0 < len(name) <= 84
    assert PurePosixPath(name).parts == (name,)
    assert name not in (".", "..")
    assert name.isascii()
    assert name.isprintable()


def test_file_name_keeps_its_extension() -> None:
    assert safe_file_name("a" * 500 + ".zip").endswith("a.zip")


@pytest.mark.parametrize("value", [True, -1, 1.0, "", "x", "١", "1" * 20, 2**63, None, [1]])
def test_what_is_no_id_is_none(value: Any) -> None:
    assert parse_id(value) is None


@pytest.mark.parametrize("value", [12, "12", "0012"])
def test_id_is_a_number_or_digits(value: Any) -> None:
    assert parse_id(value) == 12
