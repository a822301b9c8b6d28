"""`trialrun explain`: what a check demands, and why."""

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


@click.command("explain")
@click.argument("check", required=False)
@click.option("--list", "listed", is_flag=True, help="All checks, one line each.")
def command(check: str | None, listed: bool) -> None:
    """Say what the CHECK (such as TR305) demands, why the platform needs it, and how to fix what it finds."""
    from trialrun.testing.registry import all_checks
    from trialrun_hookspecs.suggestions import did_you_mean

    checks = all_checks()
    if listed or check is None:
        if check is None and not listed:
            raise UsageError("a check must be named", where="explain", got="none", fix="`--list` has them all.")
        click.echo("\n".join(format_check_line(found) for found in checks.values()))
        return
    name = check.upper()
    if name not in checks:
        fix = did_you_mean(name, checks) or "`trialrun explain --list` has them all."
        raise UsageError("must be the id of a check", where="explain", got=repr(check), fix=fix)
    click.echo("\n".join(explain_check(checks[name])))


def format_check_line(found: Check) -> str:
    """A check in one line."""
    marks = ["extended"] if found.level == "extended" else []
    marks += sorted(found.needs)
    return f"{found.id}  {found.title}" + (f"  ({', '.join(marks)})" if marks else "")


def explain_check(found: Check) -> Iterator[str]:
    """A check in full."""
    yield f"{found.id}: {found.title}"
    yield f"{found.family}, {found.level}" + (f", needs {', '.join(sorted(found.needs))}" if found.needs else "")
    for title, text in (("The contract", found.clause), ("Why", found.why), ("To fix", found.fix)):
        yield from ("", f"{title}:", indent(fill(" ".join(text.split()), _WIDTH - 2), "  "))
    for title, code in (("Before", found.before), ("After", found.after)):
        if code.strip():
            yield from ("", f"{title}:", indent(dedent(code).strip("\n"), "    "))
