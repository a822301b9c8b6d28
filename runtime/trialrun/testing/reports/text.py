"""Text helpers of all reports: groups and counts of checks, and sanitising of a plugin's text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from trialrun.testing.registry import FAMILIES
from trialrun.testing.verdicts import Verdict

__all__ = [
    "FAMILY_NAMES",
    "Json",
    "clean_text",
    "count_applicable",
    "count_by_family",
    "count_unselected",
    "format_location",
    "format_subtitle",
    "group_problems",
    "is_red",
]

Json = Mapping[str, Any]

FAMILY_NAMES = tuple(FAMILIES.values())

_UNSEEN = (str(Verdict.VACUOUS), str(Verdict.NOT_RUN))
# Control characters, lone surrogates and direction marks, which change what a reader sees.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def clean_text(text: object, limit: int = 20_000) -> str:
    """Return `text` without terminal controls and characters that XML forbids, cut after `limit` characters."""
    shown = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", str(text))
    return shown if len(shown) <= limit else f"{shown[:limit]} … ({len(shown) - limit} more characters)"


def is_red(check: Json) -> bool:
    """Return whether this check makes the plugin not conformant; see `Outcome.is_red`."""
    if check["verdict"] == Verdict.FAIL:
        return True
    return check["verdict"] in _UNSEEN and check["level"] == "core" and bool(check["selected"])


_URGENCY = (Verdict.FAIL, Verdict.VACUOUS, Verdict.NOT_RUN, Verdict.ERROR)


def group_problems(report: Json) -> list[list[Json]]:
    """Return red and errored checks, the most urgent first; those without a verdict are grouped by reason."""
    groups: dict[tuple[int, str], list[Json]] = {}
    for check in report["checks"]:
        if is_red(check) or check["verdict"] == Verdict.ERROR:
            alone = check["verdict"] not in _UNSEEN
            key = _URGENCY.index(check["verdict"]), check["id"] if alone else check["message"]
            groups.setdefault(key, []).append(check)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def count_unselected(checks: Iterable[Json]) -> int:
    """Return the number of checks that were not selected."""
    return sum(check["verdict"] == Verdict.NOT_RUN and not check["selected"] for check in checks)


def count_applicable(report: Json) -> int:
    """Return the number of selected checks that apply to this plugin."""
    ledger = report["ledger"]
    return int(ledger["total"] - ledger["not_applicable"] - count_unselected(report["checks"]))


def count_by_family(report: Json) -> dict[str, Counter[str]]:
    """Return family -> count of each verdict; unselected checks count as "unasked"."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in FAMILY_NAMES}
    for check in report["checks"]:
        asked = check["selected"] or check["verdict"] != Verdict.NOT_RUN
        counts.setdefault(check["family"], Counter())[check["verdict"] if asked else "unasked"] += 1
    return {name: count for name, count in counts.items() if count}


def format_location(check: Json) -> str:
    """Return `file:line` of the plugin that the outcome concerns, or ""."""
    where = check["where"]
    return f"{clean_text(where['file'])}:{where['line']}" if where else ""


def format_subtitle(report: Json) -> str:
    """Return one line with contract, profile, seed and duration."""
    seconds = f"{report['seconds']:.1f} s"
    return f"contract {report['contract']} · profile {report['profile']} · seed {report['seed']} · {seconds}"
