"""The ledger adds up, and exit codes follow from it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.testing.verdicts import Outcome, Report, Verdict, report_schema

PASS, FAIL, VACUOUS, NA, WAIVED, NOT_RUN, ERROR = Verdict


def outcome(verdict: Verdict, level: Any = "core", **more: Any) -> Outcome:
    return Outcome(id="TR101", title="t", verdict=verdict, level=level, family="contract", **more)


def report(*outcomes: Outcome, **more: Any) -> Report:
    facts: dict[str, Any] = {"plugin": "p", "plugin_hash": "h", "profile": "core", "seed": 7, "environment": {}}
    return Report(**facts, declared=(), observed=(), outcomes=outcomes, **more)


outcomes = st.builds(
    outcome,
    st.sampled_from(list(Verdict)),
    st.sampled_from(["core", "extended"]),
    message=st.text(),
    evidence=st.dictionaries(st.text(), st.one_of(st.integers(), st.floats(), st.text(), st.binary())),
    where=st.one_of(st.none(), st.tuples(st.text(), st.integers(1, 999))),
    selected=st.booleans(),
)


@given(st.lists(outcomes, max_size=8))
def test_the_ledger_adds_up(found: list[Outcome]) -> None:
    ledger = report(*found).ledger
    parts = ledger["ran"] + ledger["not_applicable"] + ledger["waived"] + ledger["not_run"]
    assert parts == ledger["total"] == len(found)
    assert ledger["passed"] + ledger["failed"] == ledger["ran"]


@given(st.lists(outcomes, max_size=4), st.booleans())
def test_every_report_fits_the_published_schema(found: list[Outcome], interrupted: bool) -> None:
    data = report(*found, interrupted=interrupted).to_json()
    jsonschema.validate(json.loads(json.dumps(data, allow_nan=False)), report_schema())


@pytest.mark.parametrize(
    ("found", "code", "headline"),
    [
        ([outcome(PASS)], 0, "conformant"),
        ([outcome(PASS), outcome(NA), outcome(WAIVED)], 0, "conformant"),
        ([outcome(PASS), outcome(NOT_RUN, "extended")], 0, "conformant"),
        ([outcome(PASS), outcome(NOT_RUN, selected=False)], 0, "partial"),
        ([outcome(PASS), outcome(NOT_RUN)], 1, "not conformant"),
        ([outcome(PASS), outcome(VACUOUS)], 1, "not conformant"),
        ([outcome(PASS), outcome(VACUOUS, "extended")], 0, "conformant"),
        ([outcome(PASS), outcome(FAIL, "extended")], 1, "not conformant"),
        ([outcome(PASS), outcome(ERROR)], 2, "could not be told"),
        ([outcome(FAIL), outcome(ERROR)], 1, "not conformant"),
        ([outcome(NA)], 2, "could not be told"),
        ([], 2, "could not be told"),
    ],
)
def test_the_exit_code_follows_from_the_verdicts(found: list[Outcome], code: int, headline: str) -> None:
    made = report(*found)
    assert (made.exit_code, made.headline) == (code, headline)


def test_an_interrupted_run_says_so() -> None:
    assert report(outcome(FAIL), interrupted=True).exit_code == 130


def test_a_partial_result_is_not_conformant() -> None:
    assert not report(outcome(PASS), outcome(NOT_RUN, selected=False)).is_conformant
