"""`trialrun diff`: two recordings compared."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from trialrun.cli import text
from trialrun.events import nonfinite_name

__all__ = ["command"]

_WHERE = 160
_VALUE = 60


@click.command("diff", context_settings={"show_default": True})
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.0, help="How far numbers may differ, relatively.")
@click.option("--limit", type=click.IntRange(min=0), default=50, help="Differences that are printed; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
def command(one: str, other: str, tolerance: float, limit: int, as_json: bool) -> None:
    """Compare the recordings A and B (results folders or recorder.sqlite files), newest job with newest job.

    Trials are known by their hyperparameters; ids, times and folders are left out. The exit code is 0 when they are
    the same, 1 when they differ.
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.diff import compare_studies

    with open_study(one) as first, open_study(other) as second:
        found = compare_studies(first, second, tolerance)
    if as_json:
        click.echo(json.dumps([_name_nonfinite(asdict(difference)) for difference in found], ensure_ascii=False))
    else:
        for difference in found[: limit or None]:
            click.echo(text.truncate(text.clean(difference.where), _WHERE))
            click.echo(f"  A  {_format_value(difference.a)}\n  B  {_format_value(difference.b)}")
        if limit and len(found) > limit:
            click.echo(f"… and {len(found) - limit} more: --limit 0 prints all")
        click.echo(f"{len(found)} difference{'s' * (len(found) != 1)}" if found else "the same")
    click.get_current_context().exit(1 if found else 0)


def _name_nonfinite(difference: dict[str, Any]) -> dict[str, Any]:
    """NaN and infinities as words: JSON has no other way to tell them from nothing."""
    words = {name: nonfinite_name(difference[name]) for name in ("a", "b")}
    return {**difference, **{name: word for name, word in words.items() if word}}


def _format_value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return repr(value)
    return text.truncate(text.clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), _VALUE)
