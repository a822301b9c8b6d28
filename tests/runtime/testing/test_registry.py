"""The registry keeps ids for ever, and says what is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from trialrun.testing import registry
from trialrun.testing.registry import Check, check, select_checks

TEXTS: dict[str, Any] = {"title": "t", "clause": "c", "why": "w", "fix": "f", "before": "", "after": ""}


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REGISTRY", {})


def made(name: str, **options: Any) -> Check:
    check(id=name, **TEXTS, **options)(lambda context: None)
    return registry.REGISTRY[name]


def test_the_family_is_that_of_the_first_digit() -> None:
    assert [made(f"TR{digit}01").family for digit in range(1, 6)] == list(registry.FAMILIES.values())


def test_an_id_is_never_used_twice() -> None:
    made("TR101")
    with pytest.raises(ValueError, match="choose one that was never used"):
        made("TR101")


@pytest.mark.parametrize("name", ["TR1", "TR1010", "XX101", "tr101", "TR001", "TR901"])
def test_what_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="an id is TR and three digits"):
        made(name)


def test_a_core_check_needs_no_ray() -> None:
    with pytest.raises(ValueError, match="cannot need Ray"):
        made("TR101", needs=["ray"])


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(ValueError, match="quantum"):
        made("TR101", needs=["quantum"])


def test_a_profile_chooses_by_level() -> None:
    checks = {"TR101": made("TR101"), "TR102": made("TR102", level="extended")}
    assert list(select_checks(checks)) == ["TR101"]
    assert list(select_checks(checks, profile="full")) == ["TR101", "TR102"]


def test_select_overrules_the_profile() -> None:
    checks = {name: made(name, level="extended") for name in ("TR101", "TR201", "TR202")}
    assert list(select_checks(checks, select=["TR2"], ignore=["TR202"])) == ["TR201"]


@pytest.mark.parametrize("words", [{"select": ["TR9"]}, {"ignore": [""]}])
def test_a_word_that_fits_no_check_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the word itself is the message
        select_checks({"TR101": made("TR101")}, **words)
