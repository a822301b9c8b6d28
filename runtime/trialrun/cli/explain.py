"""`trialrun explain`: explain a check."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent, fill, indent
from typing import TYPE_CHECKING

import click

from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.testing.registry import Check

__all__ = ["command"]

_WIDTH = 100
_LIST = "List them with `trialrun explain --list`."


@click.command("explain")
@click.argument("check", required=False)
@click.option("--list", "listed", is_flag=True, help="List all checks, one line each.")
def command(check: str | None, listed: bool) -> None:
    """Explain a check: the rule, the reason and the fix.

    CHECK is an id, such as TR305.
    """
    from trialrun.testing.registry import all_checks
    from trialrun_hookspecs.suggestions import did_you_mean

    checks = all_checks()
    if listed or check is None:
        if check is None and not listed:
            raise UsageError("a check must be named", where="explain", got="none", fix=_LIST)
        click.echo("\n".join(format_check_line(each) for each in checks.values()))
        return
    name = check.upper()
    if name not in checks:
        fix = did_you_mean(name, checks) or _LIST
        raise UsageError("must be the id of a check", where="explain", got=repr(check), fix=fix)
    click.echo("\n".join(explain_check(checks[name])))


def format_check_line(check: Check) -> str:
    """Return the check as one line."""
    notes = ["extended"] if check.level == "extended" else []
    notes += sorted(check.needs)
    return f"{check.id}  {check.title}" + (f"  ({', '.join(notes)})" if notes else "")


def explain_check(check: Check) -> Iterator[str]:
    """Yield the lines that explain the check."""
    yield f"{check.id}: {check.title}"
    yield f"{check.family}, {check.level}" + (f", needs {', '.join(sorted(check.needs))}" if check.needs else "")
    for title, text in (("The contract", check.clause), ("Why", check.why), ("To fix", check.fix)):
        yield from ("", f"{title}:", indent(fill(" ".join(text.split()), _WIDTH - 2), "  "))
    for title, code in (("Before", check.before), ("After", check.after)):
        if code.strip():
            yield from ("", f"{title}:", indent(dedent(code).strip("\n"), "    "))
