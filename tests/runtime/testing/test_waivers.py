"""Waivers are strict, signed and expire."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from trialrun.testing.verdicts import Outcome, Verdict
from trialrun.testing.waivers import Waiver, apply_waiver, read_waivers
from trialrun_hookspecs.errors import UsageError

TODAY = dt.date(2031, 5, 5)
KNOWN = ("TR101", "TR305")
GOOD = {"check": "TR305", "reason": "ticket 12", "expires": "2031-05-05", "signature": "no checkpoint"}


def read(*entries: dict[str, Any], text: str = "") -> dict[str, Waiver]:
    return read_waivers(entries, KNOWN, today=TODAY, path="pyproject.toml" if text else "", text=text)


def outcome(verdict: Verdict, signature: str = "") -> Outcome:
    return Outcome(
        id="TR305", title="t", verdict=verdict, level="core", family="tuning", message="m", signature=signature, fix="f"
    )


def test_the_last_day_counts() -> None:
    assert read(GOOD)["TR305"].expires == TODAY


@pytest.mark.parametrize("expires", [dt.date(2031, 6, 1), dt.datetime(2031, 6, 1, 12), "2031-06-01"])
def test_toml_dates_and_texts_are_dates(expires: Any) -> None:
    assert read({**GOOD, "expires": expires})["TR305"].expires == dt.date(2031, 6, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"check": "TR306"}, r"waivers\[0\].check: must be the id of a check, got 'TR306'. Did you mean 'TR305'"),
        ({"expires": "2031-05-04"}, "the waiver has expired, got 2031-05-04"),
        ({"expires": "soon"}, "must be a date, got 'soon'"),
        ({"expires": 7}, "must be a date, got 7"),
        ({"reason": " "}, "must be text that is not blank"),
        ({"signature": None}, "must be text"),
        ({"resaon": "x"}, "unknown key"),
    ],
)
def test_what_is_wrong_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read({**GOOD, **change})


@pytest.mark.parametrize("key", GOOD)
def test_every_part_is_required(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key}: is required"):
        read({name: value for name, value in GOOD.items() if name != key})


def test_a_check_is_waived_once() -> None:
    with pytest.raises(UsageError, match="waived once"):
        read(GOOD, GOOD)


def test_an_error_names_the_line_of_the_file() -> None:
    text = "[tool.trialrun]\n\n[[tool.trialrun.waivers]]\ncheck = 'TR305'\n[[ tool.trialrun.waivers ]]\n"
    with pytest.raises(UsageError, match=r"pyproject.toml:5, waivers\[1\]"):
        read(GOOD, {**GOOD, "check": "TR1"}, text=text)


def test_the_failure_that_was_expected_is_waived() -> None:
    [waiver] = read(GOOD).values()
    waived = apply_waiver(outcome(Verdict.FAIL, "no checkpoint"), waiver)
    assert waived.verdict is Verdict.WAIVED
    assert "ticket 12" in waived.evidence["waiver"]


@pytest.mark.parametrize("found", [outcome(Verdict.FAIL, "something else"), outcome(Verdict.PASS)])
def test_anything_else_is_red(found: Outcome) -> None:
    [waiver] = read(GOOD).values()
    assert apply_waiver(found, waiver).is_red


@pytest.mark.parametrize("verdict", [Verdict.VACUOUS, Verdict.ERROR, Verdict.NA])
def test_a_check_without_a_result_keeps_its_verdict(verdict: Verdict) -> None:
    [waiver] = read(GOOD).values()
    assert apply_waiver(outcome(verdict), waiver).verdict is verdict
