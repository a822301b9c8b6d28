"""Waivers: expected failures, each with a reason, a signature and an expiry date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trialrun.testing.verdicts import Outcome, Verdict
from trialrun_hookspecs.errors import Problem, UsageError
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["Waiver", "apply_waiver", "read_waivers"]

_KEYS = ("check", "reason", "expires", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One expected failure. `expires` is the last valid day. `where` is the file and line of the waiver."""

    check: str
    reason: str
    expires: dt.date
    signature: str
    where: str = "waivers"


def read_waivers(
    entries: Iterable[Mapping[str, Any] | Waiver],
    known: Collection[str],
    *,
    today: dt.date,
    path: str = "",
    text: str = "",
) -> dict[str, Waiver]:
    """Return the waivers by check. Raises UsageError with every problem, such as an unknown id or a past date.

    `path` and `text` are those of the file that holds the waivers; problems name its lines.
    """
    problems: list[Problem] = []
    waivers: dict[str, Waiver] = {}
    lines = _find_entry_lines(text)
    for number, raw in enumerate(entries):
        entry = {key: getattr(raw, key) for key in _KEYS} if isinstance(raw, Waiver) else raw
        line = f"{path}:{lines[number]}" if path and number < len(lines) else (path or "waivers")
        where = f"{line}, waivers[{number}]"
        found = _find_problems(entry, known, where, today)
        check = entry.get("check")
        if not found and check in waivers:
            found = [
                Problem(where=f"{where}.check", rule="a check is waived once", got=repr(check), fix="Merge the two.")
            ]
        problems += found
        if not found:
            waivers[str(check)] = Waiver(**{**entry, "expires": _parse_date(entry["expires"]), "where": line})
    if problems:
        raise UsageError(problems=problems)
    return waivers


def apply_waiver(outcome: Outcome, waiver: Waiver) -> Outcome:
    """Return the outcome with its waiver applied: waived, or a failure when the waiver does not match."""
    if outcome.verdict is Verdict.FAIL and outcome.signature == waiver.signature:
        until = f"waived until {waiver.expires.isoformat()}: {waiver.reason}"
        return replace(outcome, verdict=Verdict.WAIVED, evidence={**outcome.evidence, "waiver": until})
    if outcome.verdict is Verdict.FAIL:
        reason = f"the failure is not the waived one ({waiver.signature!r} in {waiver.where}): "
        fix = f"{outcome.fix}\nThe signature of this failure is {outcome.signature!r}."
        return replace(outcome, message=reason + outcome.message, fix=fix)
    if outcome.verdict is Verdict.PASS:
        return replace(
            outcome,
            verdict=Verdict.FAIL,
            message=f"the check passes, but {waiver.where} waives it ({waiver.reason})",
            signature="waived and passes",
            fix=f"Delete the waiver of {outcome.id}.",
        )
    return outcome


def _find_problems(entry: Mapping[str, Any], known: Collection[str], where: str, today: dt.date) -> list[Problem]:
    problems = [
        Problem(where=f"{where}.{key}", rule="unknown key", fix=did_you_mean(str(key), _KEYS) or _describe_keys())
        for key in entry
        if key not in _KEYS
    ]
    problems += [
        Problem(where=f"{where}.{key}", rule="is required", got="nothing", fix=_describe_keys())
        for key in _KEYS
        if key not in entry
    ]
    problems += [
        Problem(where=f"{where}.{key}", rule="must be text that is not blank", got=repr(entry[key]))
        for key in ("check", "reason", "signature")
        if key in entry and (not isinstance(entry[key], str) or not entry[key].strip())
    ]
    check = entry.get("check")
    if isinstance(check, str) and check.strip() and check not in known:
        fix = did_you_mean(check, known) or "`trialrun explain --list` prints all of them."
        problems.append(Problem(where=f"{where}.check", rule="must be the id of a check", got=repr(check), fix=fix))
    if "expires" in entry:
        problems += _find_date_problems(entry["expires"], f"{where}.expires", today)
    return problems


def _find_date_problems(value: Any, where: str, today: dt.date) -> list[Problem]:
    try:
        date = _parse_date(value)
    except ValueError:
        return [Problem(where=where, rule="must be a date", got=repr(value), fix="Write it as 2031-12-31.")]
    if date < today:
        fix = "Fix the plugin and delete the waiver, or set a new date."
        return [Problem(where=where, rule="the waiver has expired", got=date.isoformat(), fix=fix)]
    return []


def _parse_date(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    return dt.date.fromisoformat(str(value))


def _describe_keys() -> str:
    return f"The keys of a waiver are {', '.join(_KEYS)}."


def _find_entry_lines(text: str) -> list[int]:
    """Return the line numbers, from 1, at which the entries begin."""
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.replace(" ", "").startswith("[[tool.trialrun.waivers]]")
    ]
