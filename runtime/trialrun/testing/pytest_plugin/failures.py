"""The exceptions and texts that pytest shows for checks that did not pass."""

from __future__ import annotations

from collections.abc import Iterator

from trialrun.testing.reports.text import clean_text
from trialrun.testing.verdicts import Outcome, Verdict

__all__ = ["HarnessError", "NotConformant", "Waived", "format_failure"]


class NotConformant(Exception):
    """FAIL: the plugin breaks a promise of the contract."""


class HarnessError(Exception):
    """ERROR: trialrun itself failed, which says nothing about the plugin."""


class Waived(Exception):
    """WAIVED: the check failed as its waiver expects."""


def format_failure(outcome: Outcome) -> str:
    """Return the failure as text: what, where, why, the fix, and the repro script."""
    lines = [f"{outcome.id} {outcome.title} ({outcome.family}, {outcome.level})", ""]
    for name, text in _iter_facts(outcome):
        first, *rest = clean_text(text).splitlines() or [""]
        lines += [f"{name:>9}  {first}", *(f"{'':>9}  {line}" for line in rest)]
    return "\n".join(lines)


def _iter_facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield ("error" if outcome.verdict is Verdict.ERROR else "what"), outcome.message
    if outcome.where is not None:
        yield "where", f"{outcome.where[0]}:{outcome.where[1]}"
    if outcome.why:
        yield "why", outcome.why
    if outcome.fix:
        yield "fix", outcome.fix
    if outcome.repro:
        yield "repro", f"python {outcome.repro}"
    if outcome.verdict is Verdict.ERROR:
        yield "traceback", str(outcome.evidence.get("traceback", ""))
        return
    if outcome.signature:
        yield "signature", outcome.signature
    yield "more", f"trialrun explain {outcome.id}"
