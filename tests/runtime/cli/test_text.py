"""Text for a terminal is one line that cannot control it, and numbers are short."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.cli import text

JOINER = "\u200d"


@given(st.text())
@example("\x1b[31mred\x1b[0m")
@example("a\r\nb\u2028c\x85d")
@example("\u202egnp.exe")
@example("\ud800")
@example("\x9b31m")
def test_clean_text_has_nothing_that_controls_a_terminal(given_text: str) -> None:
    shown = text.clean(given_text)
    assert all(character.isprintable() or character == JOINER for character in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_clean_leaves_readable_text_alone(given_text: str) -> None:
    assert text.clean(given_text) == given_text


def test_lines_are_told_apart() -> None:
    assert text.clean("one\n  two\r\n\nthree\n") == "one | two | three"


def test_emoji_stay_whole() -> None:
    assert text.clean("a \N{WOMAN}\u200d\N{MICROSCOPE}") == "a \N{WOMAN}\u200d\N{MICROSCOPE}"


@given(st.text(), st.integers(1, 50))
def test_cut_text_fits(given_text: str, limit: int) -> None:
    assert len(text.truncate(given_text, limit)) <= limit
    assert text.truncate(given_text, len(given_text) + limit) == given_text


@given(st.floats() | st.integers())
@example(0.1 + 0.2)
@example(1e6)
@example(-1234567)
def test_a_number_is_short_and_right(number: float) -> None:
    shown = text.format_number(number)
    assert len(shown) <= 11
    if math.isnan(number):
        assert shown == "nan"
    elif abs(number) < 1e300:
        assert math.isclose(float(shown), number, rel_tol=1e-3)


@pytest.mark.parametrize(
    ("thing", "shown"),
    [
        (None, ""),
        (True, "true"),
        (20.0, "20"),
        (0.000123456, "0.0001235"),
        ("nan", "nan"),
        ("a\tb\x07", "a b\\x07"),
        ([1, 2], "[1, 2]"),
        ({"a": "é"}, '{"a": "é"}'),
        ("x" * 99, "x" * 23 + "…"),
    ],
)
def test_a_cell_shows_any_value(thing: object, shown: str) -> None:
    assert text.format_value(thing) == shown


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3600, "1 h 0 min"), (-1, "0 s")],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, message: str) -> None:
    assert text.format_duration(seconds) == message
