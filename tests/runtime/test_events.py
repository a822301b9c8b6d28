"""Events keep what was reported, refuse what JSON cannot carry, and survive the way through a line."""

from __future__ import annotations

import base64
import enum
import io
import json
import math
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from trialrun import events
from trialrun.events import (
    Event,
    flatten_mapping,
    from_line,
    image_data_uri,
    require_finite,
    stamp_event,
    to_line,
    to_log_entry,
    to_plain,
)
from trialrun_hookspecs.errors import BadValue

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | any_text
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3))
data_dicts = st.dictionaries(any_text, values, max_size=4)
words = any_text.filter(lambda text: bool(text.strip()))


def _keys_stay_apart(value: Any) -> bool:
    try:
        to_plain(value)
    except BadValue:
        return False
    return True


built_events = st.one_of(
    st.builds(events.metric_event, words, words, numbers, data_dicts.filter(_keys_stay_apart)),
    st.builds(events.message_event, any_text, st.sampled_from(events.CONTEXTS)),
    st.builds(events.progress_event, any_text, numbers, numbers, numbers, st.none() | numbers),
    st.builds(events.status_event, st.sampled_from(events.STATUSES), st.none() | any_text),
    st.builds(events.trial_result_event, words, st.integers(0, 99), data_dicts.filter(_keys_stay_apart)),
    st.builds(events.model_event, st.integers(1), st.none() | words, any_text),
    st.builds(events.result_event, data_dicts.filter(_keys_stay_apart)),
    st.builds(events.trials_event, data_dicts.filter(_keys_stay_apart)),
    st.builds(events.trials_delta_event, data_dicts.filter(_keys_stay_apart)),
)


def _stamped(event: Event, job_id: int, trial_id: str | None, key: str, seq: int) -> Event:
    return stamp_event(event, job_id=job_id, trial_id=trial_id, key=key, seq=seq, time="2026-01-02T03:04:05.678+00:00")


all_events = st.builds(_stamped, built_events, st.integers(), st.none() | words, any_text, st.integers())


@given(all_events)
def test_a_line_gives_its_event_back(event: Event) -> None:
    line = to_line(event)
    assert from_line(line) == event
    assert to_line(from_line(line)) == line


@given(all_events)
def test_a_line_is_one_line_of_ascii_json(event: Event) -> None:
    line = to_line(event)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["kind"] == event.kind


@given(all_events)
def test_what_an_event_holds_can_be_sent_as_utf_8(event: Event) -> None:
    json.dumps(to_log_entry(event), ensure_ascii=False, allow_nan=False).encode()


@given(all_events, st.data())
def test_a_cut_line_is_refused(event: Event, data: st.DataObject) -> None:
    line = to_line(event)
    cut = data.draw(st.integers(0, len(line) - 1))
    with pytest.raises(BadValue, match="must be an event"):
        from_line(line[:cut])


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "null",
        "{}",
        '{"kind": "surprise"}',
        '{"kind": []}',
        '{"kind": "metric", "data": []}',
        '{"kind": "metric", "data": {"value": NaN}}',
        '{"kind": "metric", "seq": true}',
        '{"kind": "metric", "trial_id": 1}',
        '{"kind": "metric", "time": null}',
        '{"kind": "metric", "unheard_of": 1}',
        "[" * 100_000,
    ],
)
def test_a_line_of_something_else_is_refused(line: str) -> None:
    with pytest.raises(BadValue, match="must be an event"):
        from_line(line)


def test_an_event_made_by_hand_with_odd_data_makes_no_line() -> None:
    for odd in (math.nan, object(), {1, 2}):
        with pytest.raises(BadValue, match="must be plain data"):
            to_line(Event(kind="metric", data={"value": odd}))


def test_a_read_only_mapping_makes_a_line() -> None:
    event = Event(kind="message", data=MappingProxyType({"content": "x"}))
    assert from_line(to_line(event)).data == {"content": "x"}


@given(numbers)
def test_finite_gives_plain_numbers_back(value: float) -> None:
    made = require_finite(value, "x")
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.25), 0.25),
        (np.int64(3), 3),
        (np.uint8(255), 255),
        (np.array(1.5), 1.5),
        (enum.IntEnum("Level", {"HIGH": 3}).HIGH, 3),  # type: ignore[attr-defined]  # made on the spot
    ],
)
def test_scalars_of_other_libraries_become_plain(value: Any, expected: float) -> None:
    for made in (require_finite(value, "x"), to_plain(value)):
        assert (made, type(made)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float32("nan"), "nan"),
        (True, "bool True"),
        (np.True_, "bool"),
        ("0.5", "str '0.5'"),
        (None, "NoneType None"),
        (1j, "complex"),
        (np.longdouble(1), "longdouble"),
        (np.zeros(3), "ndarray of shape (3,)"),
        ([1.0], "list [1.0]"),
        (10**400, "an int of 1329 bits"),
    ],
)
def test_finite_refuses_and_says_what_it_got(value: Any, got: str) -> None:
    with pytest.raises(BadValue) as refused:
        require_finite(value, "metric 'loss'")
    problem = refused.value.problems[0]
    assert problem.where == "metric 'loss'"
    assert got in problem.got


@given(values.filter(_keys_stay_apart))
def test_plain_is_idempotent(value: Any) -> None:
    once = to_plain(value)
    assert to_plain(once) == once


@given(st.recursive(st.none() | st.booleans() | numbers | st.text(), st.lists))
def test_plain_leaves_plain_values_as_they_are(value: Any) -> None:
    assert to_plain(value) == value


class _Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Path("a/b"), "a/b"),
        ({1: "x"}, {"1": "x"}),
        ({np.int64(2): np.str_("y")}, {"2": "y"}),
        (_Colour.RED, "red"),
        (MappingProxyType({"a": ()}), {"a": []}),
        ("\ud800", "\\ud800"),
        ("\ud83d\ude00", "\\ud83d\\ude00"),
        ("😀", "😀"),
        (os.fsdecode(b"\xff"), "\\udcff"),
    ],
)
def test_plain_writes_what_has_a_json_form(value: Any, expected: Any) -> None:
    made = to_plain(value)
    assert made == expected
    assert type(made) is type(expected)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [0, {1, 2}]}, "metrics.a[1]"),
        ({"a": {"b": math.nan}}, "metrics.a.b"),
        ({"a": b"x"}, "metrics.a"),
        ({"a": np.zeros(2)}, "metrics.a"),
        ({"a": np.datetime64("2026-01-01")}, "metrics.a"),
        ({"a": np.longdouble(1)}, "metrics.a"),
        ({True: 1}, "metrics"),
        ({None: 1}, "metrics"),
        ({1: 1, "1": 2}, "metrics"),
        (_deep(10_000), "[0]"),
        (object, "metrics"),
    ],
)
def test_plain_names_the_place_it_refuses(value: Any, where: str) -> None:
    with pytest.raises(BadValue) as refused:
        to_plain(value, "metrics")
    assert refused.value.problems[0].where.endswith(where)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadValue, match="nested"):
        to_plain(loop)


def test_plain_can_null_or_keep_what_is_not_finite() -> None:
    values = [math.nan, math.inf, np.float32("-inf"), 1.0]
    assert to_plain(values, nonfinite="null") == [None, None, None, 1.0]
    assert [repr(value) for value in to_plain(values, nonfinite="keep")] == ["nan", "inf", "-inf", "1.0"]


def test_flatten_joins_nested_names() -> None:
    assert flatten_mapping({"a": {"b": {"c": 1}, "d": 2}, "e": 3, "f": {}}) == {"a/b/c": 1, "a/d": 2, "e": 3}


@given(st.dictionaries(st.text("abc/", max_size=3), numbers))
def test_flatten_leaves_flat_mappings_alone(flat: dict[str, Any]) -> None:
    assert flatten_mapping(flat) == flat


def test_metric_holds_the_platforms_fields() -> None:
    event = events.metric_event("training", "loss", np.float32(0.5), {"epoch": np.int64(10)})
    assert event.data == {"category": "training", "key": "loss", "value": 0.5, "metrics": {"epoch": 10}}


@pytest.mark.parametrize(
    "call",
    [
        lambda: events.metric_event("", "loss", 1.0, {}),
        lambda: events.metric_event("training", " ", 1.0, {}),
        lambda: events.metric_event("training", 3, 1.0, {}),  # type: ignore[arg-type]  # what a plugin may do
        lambda: events.metric_event("training", "loss", math.nan, {}),
        lambda: events.metric_event("training", "loss", 1.0, {"lr": math.inf}),
        lambda: events.metric_event("training", "loss", 1.0, [1]),  # type: ignore[arg-type]  # what a plugin may do
        lambda: events.message_event("x", "fatal"),
        lambda: events.progress_event("train", math.nan, 1, 0, None),
        lambda: events.progress_event(None, 1, 1, 0, None),  # type: ignore[arg-type]  # what a plugin may do
        lambda: events.status_event("DONE"),
        lambda: events.trial_result_event("", 1, {}),
        lambda: events.visualization_event("p", "g", index=True, image=_PNG),
        lambda: events.visualization_event("p", "g", 1.5, _PNG),  # type: ignore[arg-type]  # what a plugin may do
        lambda: events.visualization_event("p", "g", 0, _PNG, {"index": 2}),
        lambda: events.visualization_event("", "g", 0, _PNG),
        lambda: events.trials_event([]),  # type: ignore[arg-type]  # what a plugin may do
    ],
)
def test_constructors_refuse_bad_values(call: Callable[[], Event]) -> None:
    with pytest.raises(BadValue):
        call()


def test_what_an_event_holds_is_its_own_copy() -> None:
    mine = {"layers": [1]}
    event = events.metric_event("training", "loss", 1.0, mine)
    mine["layers"].append(2)
    assert event.data["metrics"] == {"layers": [1]}


def test_trial_result_keeps_what_was_not_finite_beside_the_metrics() -> None:
    event = events.trial_result_event("a1", 3, {"loss": math.nan, "val": {"loss": np.float32("inf")}, "acc": 1})
    assert event.data["metrics"] == {"loss": None, "val": {"loss": None}, "acc": 1}
    assert event.data["nonfinite"] == {"loss": "nan", "val/loss": "inf"}
    assert event.trial_id == "a1"


def test_log_entry_is_the_platforms_form() -> None:
    event = _stamped(events.metric_event("training", "loss", 0.5), 7, "a1", "k", 3)
    assert to_log_entry(event) == {
        "event": "metric",
        "data": {"category": "training", "key": "loss", "value": 0.5, "metrics": {}, "trial_id": "a1"},
        "datetime": "2026-01-02T03:04:05.678+00:00",
        "job": 7,
    }


def test_the_runs_trial_id_wins_over_the_plugins() -> None:
    event = events.visualization_event("p", "g", 0, _PNG, {"trial_id": "mine", "epoch": 1})
    assert to_log_entry(_stamped(event, 7, "a1", "k", 0))["data"] == {
        "category": "p",
        "group": "g",
        "index": 0,
        "epoch": 1,
        "trial_id": "a1",
    }


@given(all_events)
def test_log_entry_adds_a_trial_id_to_points_of_trials_only(event: Event) -> None:
    data = to_log_entry(event)["data"]
    if event.kind == "metric" and event.trial_id is not None:
        assert data == {**event.data, "trial_id": event.trial_id}
    else:
        assert data == event.data


def test_a_file_stands_beside_the_data() -> None:
    entry = to_log_entry(events.visualization_event("p", "g", 0, _PNG))
    assert entry["file"] == f"data:image/png;base64,{base64.b64encode(_PNG).decode()}"
    assert "file" not in to_log_entry(events.message_event("x"))


def _decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


def _saved_as(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 3), (255, 0, 0)).save(buffer, format=kind)
    return buffer.getvalue()


_PNG: bytes = _saved_as("PNG")

sides = st.integers(1, 6)
shapes = st.tuples(sides, sides) | st.tuples(sides, sides, st.sampled_from([1, 3, 4]))


@given(shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_an_array_comes_back_from_its_png(array: np.ndarray[Any, Any]) -> None:
    image = _decoded(image_data_uri(array))
    image.load()
    expected = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    assert np.array_equal(np.asarray(image), expected)


@given(shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32))))
def test_floats_become_the_nearest_byte(array: np.ndarray[Any, Any]) -> None:
    back = np.asarray(_decoded(image_data_uri(array)), dtype=float).reshape(array.shape)
    assert np.abs(back / 255 - array).max() <= 0.5 / 255 + 1e-6


def test_a_bool_array_is_black_and_white() -> None:
    assert np.asarray(_decoded(image_data_uri(np.array([[True, False]])))).tolist() == [[255, 0]]


@pytest.mark.parametrize(
    "array", [np.zeros((4, 6), np.uint8)[::2, ::3], np.zeros((4, 6, 3), np.uint8).transpose(1, 0, 2)]
)
def test_views_of_arrays_are_written(array: np.ndarray[Any, Any]) -> None:
    assert _decoded(image_data_uri(array)).size == (array.shape[1], array.shape[0])


@pytest.mark.parametrize(("kind", "media"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")])
def test_raster_files_go_out_as_they_are(tmp_path: Path, kind: str, media: str) -> None:
    content = _saved_as(kind)
    file = tmp_path / "picture.whatever"
    file.write_bytes(content)
    uri = f"data:image/{media};base64,{base64.b64encode(content).decode()}"
    for image in (content, bytearray(content), memoryview(content), file, str(file)):
        assert image_data_uri(image) == uri


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "HSV", "I"])
def test_pil_images_of_every_mode_are_written(mode: str) -> None:
    assert _decoded(image_data_uri(Image.new(mode, (3, 2)))).size == (3, 2)


class _NeedsGradient:
    """A tensor that refuses to become an array, as torch's do when they carry a gradient."""

    shape = (2, 2)
    dtype = "float32"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("use tensor.detach().numpy()")


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (None, "NoneType"),
        (3, "int 3"),
        (b"", "bytes of 0 bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "bytes of 41 bytes"),
        (np.zeros((0, 3)), "shape (0, 3)"),
        (np.zeros(5), "shape (5,)"),
        (np.zeros((3, 8, 8), np.uint8), "shape (3, 8, 8)"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.array([[0.0, 2.0]]), "values from 0 to 2"),
        (np.array([[-0.5, 1.0]]), "values from -0.5 to 1"),
        (np.array([[0.0, math.nan]]), "nan"),
        (np.array([["a"]]), "<U1"),
        (_NeedsGradient(), "detach"),
        ("absent.png", "'absent.png'"),
        ("a\x00b", "'a\\x00b'"),
        ("x" * 10_000, "'xxx"),
    ],
)
def test_what_is_no_image_is_refused_by_name(image: Any, got: str) -> None:
    with pytest.raises(BadValue) as refused:
        image_data_uri(image)
    assert got in refused.value.problems[0].got
    assert len(str(refused.value)) < 500


def test_a_file_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text.png").write_text("no picture")
    for name in (".", "pipe", "text.png"):
        with pytest.raises(BadValue, match=re.escape(str(tmp_path / name))):
            image_data_uri(tmp_path / name)


def test_an_image_over_the_limit_is_refused(tmp_path: Path) -> None:
    large = _PNG + bytes(events.IMAGE_LIMIT)
    file = tmp_path / "large.png"
    file.write_bytes(large)
    noise = np.random.default_rng(0).integers(0, 256, (2_000, 2_000, 3), np.uint8)
    for image in (large, file, noise):
        with pytest.raises(BadValue, match="at most 10000000 bytes"):
            image_data_uri(image)


def test_an_array_too_large_to_try_is_refused() -> None:
    with pytest.raises(BadValue, match="values"):
        image_data_uri(np.broadcast_to(np.uint8(0), (20_000, 20_000)))


@given(st.binary(max_size=40))
@example(zlib.compress(b"x"))
def test_arbitrary_bytes_are_an_image_or_refused(content: bytes) -> None:
    try:
        uri = image_data_uri(content)
    except BadValue:
        return
    assert base64.b64decode(uri.partition(",")[2]) == content
