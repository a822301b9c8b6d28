"""`trialrun diff`: compare two recordings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from trialrun.cli import text
from trialrun.cli.options import add_json_flag
from trialrun.cli.output import print_json
from trialrun.events import nonfinite_name

__all__ = ["command"]

_WHERE = 160
_VALUE = 60


@click.command("diff", context_settings={"show_default": True})
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=0.0, help="Allow this relative difference of numbers."
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, metavar="N", help="Print at most N differences; 0: all."
)
@add_json_flag("Print all differences as JSON.")
def command(one: str, other: str, tolerance: float, limit: int, as_json: bool) -> None:
    """Compare two recordings.

    A and B are results folders or recorder.sqlite files; the newest job of each is compared. Trials are matched by
    their hyperparameters; ids, times and folders are ignored. The exit code is 0 when they are the same, 1 when they
    differ.
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.diff import compare_studies

    with open_study(one) as first, open_study(other) as second:
        differences = compare_studies(first, second, tolerance)
    if as_json:
        print_json([_name_nonfinite(asdict(difference)) for difference in differences], indent=None)
    else:
        for difference in differences[: limit or None]:
            click.echo(text.truncate(text.clean(difference.where), _WHERE))
            click.echo(f"  A  {_format_value(difference.a)}\n  B  {_format_value(difference.b)}")
        for line in text.format_omitted(len(differences) - limit if limit else 0, ": --limit 0 prints all"):
            click.echo(line)
        count = len(differences)
        click.echo(f"{count} difference{'s' * (count != 1)}" if count else "the same")
    click.get_current_context().exit(1 if differences else 0)


def _name_nonfinite(difference: dict[str, Any]) -> dict[str, Any]:
    """Return the difference with NaN and infinities as words: JSON would show them as null."""
    words = {name: nonfinite_name(difference[name]) for name in ("a", "b")}
    return {**difference, **{name: word for name, word in words.items() if word}}


def _format_value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return repr(value)
    return text.truncate(text.clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), _VALUE)
