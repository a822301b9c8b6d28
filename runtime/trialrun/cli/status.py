"""`trialrun status`: how far a run is, in one screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trialrun.cli import text

if TYPE_CHECKING:
    from trialrun.recordings.state import RunState

__all__ = ["command", "format_state"]

_MOST_PHASES = 8


@click.command("status")
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one line of JSON.")
def command(path: str, job: int | None, as_json: bool) -> None:
    """Say how far the run in DIR is: status, progress, time left, trials, best so far.

    The exit code is 0 whatever the status is: the line `status` of --json is for scripts.
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.state import read_state

    now = datetime.now(UTC)
    with open_study(path, job) as study:
        state = read_state(study, now)
    if as_json:
        from trialrun.events import to_plain

        said = {**asdict(state), "over": state.is_over, "cut_off": state.is_interrupted}
        click.echo(json.dumps(to_plain(said, nonfinite="null"), ensure_ascii=False))
    else:
        click.echo("\n".join(format_state(state, path, now)))


def format_state(state: RunState, path: str, now: datetime) -> list[str]:
    """The state in a few aligned lines."""
    said = "interrupted" if state.is_interrupted else state.status.lower()
    made = [f"{text.truncate(text.clean(state.name), 60)}: {text.clean(said)}", ""]

    def add_field(label: str, words: str) -> None:
        if words:
            made.append(f"{label:<10} {words}")

    add_field("progress", _format_progress(state))
    add_field(
        "left",
        "" if not state.left_s or state.is_interrupted else f"about {text.format_duration(max(state.left_s, 1))}",
    )
    add_field("trials", _format_trials(state))
    if state.best is not None:
        value = state.best["metrics"].get(state.metric)
        shown = f"  {text.clean(state.metric)} {text.format_value(value)}" if value is not None else ""
        add_field("best", text.clean(state.best["trial_id"]) + shown)
    add_field("error", text.truncate(text.clean(state.error), 300) if state.error else "")
    add_field("started", _format_time_ago(state.started, now))
    add_field("heard", _format_time_ago(state.heard, now))
    if state.is_interrupted:
        add_field("now", f"no process works on it; `trialrun resume {text.clean(path)}` goes on")
    return made


def _format_progress(state: RunState) -> str:
    parts = [
        f"{text.truncate(text.clean(name), 20)} {text.format_number(done)} of {text.format_number(total)}"
        for name, (done, total) in list(state.phases.items())[:_MOST_PHASES]
    ]
    shown = "" if state.progress is None else f"{int(state.progress * 100)} %"
    return f"{shown}  ({', '.join(parts)})" if parts else shown


def _format_trials(state: RunState) -> str:
    if not state.trials:
        return ""
    parts = [f"{count} {text.clean(status.lower())}" for status, count in sorted(state.trials.items())]
    return f"{sum(state.trials.values())}: {', '.join(parts)}"


def _format_time_ago(time: str, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(time).astimezone(UTC)).total_seconds()
    local = datetime.fromisoformat(time).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}, {text.format_duration(seconds)} ago"
