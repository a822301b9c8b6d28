"""`trialrun status`: how far a run is, in one screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trialrun.cli import text

if TYPE_CHECKING:
    from trialrun.recordings.state import State

__all__ = ["command", "lines"]

_MOST_PHASES = 8


@click.command("status")
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one line of JSON.")
def command(path: str, job: int | None, as_json: bool) -> None:
    """Say how far the run in DIR is: status, progress, time left, trials, best so far.

    The exit code is 0 whatever the status is: the line `status` of --json is for scripts.
    """
    from trialrun.recordings import opened
    from trialrun.recordings.state import state_of

    now = datetime.now(UTC)
    with opened(path, job) as study:
        state = state_of(study, now)
    if as_json:
        from trialrun.events import plain

        said = {**asdict(state), "over": state.over, "cut_off": state.cut_off}
        click.echo(json.dumps(plain(said, nonfinite="null"), ensure_ascii=False))
    else:
        click.echo("\n".join(lines(state, path, now)))


def lines(state: State, path: str, now: datetime) -> list[str]:
    """The state in a few aligned lines."""
    said = "interrupted" if state.cut_off else state.status.lower()
    made = [f"{text.cut(text.clean(state.name), 60)}: {text.clean(said)}", ""]

    def field(label: str, words: str) -> None:
        if words:
            made.append(f"{label:<10} {words}")

    field("progress", _progress(state))
    field("left", "" if not state.left_s or state.cut_off else f"about {text.duration(max(state.left_s, 1))}")
    field("trials", _trials(state))
    if state.best is not None:
        value = state.best["metrics"].get(state.metric)
        shown = f"  {text.clean(state.metric)} {text.value(value)}" if value is not None else ""
        field("best", text.clean(state.best["trial_id"]) + shown)
    field("error", text.cut(text.clean(state.error), 300) if state.error else "")
    field("started", _ago(state.started, now))
    field("heard", _ago(state.heard, now))
    if state.cut_off:
        field("now", f"no process works on it; `trialrun resume {text.clean(path)}` goes on")
    return made


def _progress(state: State) -> str:
    parts = [
        f"{text.cut(text.clean(name), 20)} {text.number(done)} of {text.number(total)}"
        for name, (done, total) in list(state.phases.items())[:_MOST_PHASES]
    ]
    shown = "" if state.progress is None else f"{int(state.progress * 100)} %"
    return f"{shown}  ({', '.join(parts)})" if parts else shown


def _trials(state: State) -> str:
    if not state.trials:
        return ""
    parts = [f"{count} {text.clean(status.lower())}" for status, count in sorted(state.trials.items())]
    return f"{sum(state.trials.values())}: {', '.join(parts)}"


def _ago(time: str, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(time).astimezone(UTC)).total_seconds()
    local = datetime.fromisoformat(time).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}, {text.duration(seconds)} ago"
