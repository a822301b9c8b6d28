"""A recorded run as aligned lines: state, best trial, result, table of trials, failures."""

from __future__ import annotations

import difflib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trialrun.cli import text
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recordings import Study
    from trialrun.recordings.state import RunState
    from trialrun.recordings.trial_index import TrialRow

__all__ = ["TableOptions", "format_state", "format_study", "select_trials", "sort_row_indices"]

_FACTS = ("trial_id", "status")
_HEAD = 20
_MAX_PHASES = 8
_TRACEBACK_LINES = 12
_SHOW_ALL = ": --limit 0 shows all"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """`sort` None: the objective; `descending` None: the best first; `limit` 0: no limit."""

    sort: str | None
    descending: bool | None
    limit: int
    traceback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedTrials:
    """The trials to show, sorted; `columns` has a cell for each row, `column` is the one they are sorted by."""

    rows: list[TrialRow]
    columns: dict[str, list[Any]]
    column: str
    omitted: int


def format_study(study: Study, path: str, options: TableOptions, now: datetime) -> list[str]:
    """Return the whole run as lines. Raises UsageError: `options.sort` is not a column."""
    from trialrun.recordings.state import read_state

    trials = study.list_trials()
    return [
        *format_state(replace(read_state(study, now), best=None), path, now),  # the best trial follows in full
        *_format_best(study, trials),
        *_format_result(study),
        *_format_table(study, trials, options),
        *_format_failures(study, options),
    ]


def format_state(state: RunState, path: str, now: datetime) -> list[str]:
    """Return the state as lines; `path` is named in the command that resumes the run."""
    status = "interrupted" if state.is_interrupted else state.status.lower()
    fields = {"progress": _format_progress(state)}
    if state.left_s and not state.is_interrupted:
        fields["left"] = f"about {text.format_duration(max(state.left_s, 1))}"
    fields["trials"] = _format_counts(state.trials)
    if state.best is not None:
        value = state.best["metrics"].get(state.metric)
        shown = "" if value is None else f"  {text.format_metric(state.metric, value)}"
        fields["best"] = text.clean(state.best["trial_id"]) + shown
    fields["error"] = text.format_message(state.error) if state.error else ""
    fields["started"] = _format_time(state.started, now)
    fields["updated"] = _format_time(state.heard, now)
    if state.is_interrupted:
        fields["next step"] = f"no process runs it; resume it with `trialrun resume {text.clean(path)}`"
    lines = [f"{text.format_name(state.name)}: {text.clean(status)}", ""]
    for label, value in fields.items():
        lines += text.format_field(label, [value] if value else [])
    return lines


def _format_progress(state: RunState) -> str:
    parts = [
        f"{text.truncate(text.clean(name), 20)} {text.format_number(done)} of {text.format_number(total)}"
        for name, (done, total) in list(state.phases.items())[:_MAX_PHASES]
    ]
    percent = "" if state.progress is None else f"{int(state.progress * 100)} %"
    return f"{percent}  ({', '.join(parts)})" if parts else percent


def _format_counts(trials: Mapping[str, int]) -> str:
    if not trials:
        return ""
    parts = [f"{count} {text.clean(status.lower())}" for status, count in sorted(trials.items())]
    return f"{sum(trials.values())}: {', '.join(parts)}"


def _format_time(time: str, now: datetime) -> str:
    moment = datetime.fromisoformat(time)
    age = (now - moment.astimezone(UTC)).total_seconds()
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}, {text.format_duration(age)} ago"


def _format_best(study: Study, trials: list[TrialRow]) -> list[str]:
    from trialrun.recordings.rows import trial_values

    best = study.find_best_id(trials)
    row = next((trial for trial in trials if trial.trial == best), None)
    if row is None:
        return []
    config, metrics = trial_values(row)
    metric = study.get_objective()[0]
    first = {metric: metrics[metric]} if metric in metrics else {}
    return [
        "",
        *text.format_field("best trial", [text.clean(row.trial)]),
        *text.format_field("", text.wrap_pairs({**first, **metrics})),
        *text.format_field("with", text.wrap_pairs(config)),
    ]


def _format_result(study: Study) -> list[str]:
    result = study.read_result() or {}
    lines = []
    if result.get("model_id") is not None:
        lines += text.format_field("model", [text.format_value(result["model_id"])])
    if result.get("ended_by"):
        lines += text.format_field("ended by", [text.clean(result["ended_by"])])
    warnings = result.get("warnings")
    if isinstance(warnings, list):
        lines += text.format_field("warnings", [text.format_message(warning) for warning in warnings])
    return lines


def select_trials(study: Study, trials: list[TrialRow], options: TableOptions) -> SelectedTrials:
    """Return the trials that `options` ask for. Raises UsageError: `options.sort` is not a column."""
    from trialrun.recordings.rows import trial_columns

    columns = trial_columns(trials)
    metric, mode = study.get_objective()
    descending = options.descending
    if options.sort is not None:
        column = _find_column(columns, options.sort)
    else:
        column = f"metrics/{metric}" if f"metrics/{metric}" in columns else "number"
        descending = (mode == "max" and column != "number") if descending is None else descending
    order = sort_row_indices(columns[column], descending=bool(descending))
    kept = order[: options.limit or None]
    return SelectedTrials(
        rows=[trials[index] for index in kept],
        columns={name: [cells[index] for index in kept] for name, cells in columns.items()},
        column=column,
        omitted=len(order) - len(kept),
    )


def _format_table(study: Study, trials: list[TrialRow], options: TableOptions) -> list[str]:
    selected = select_trials(study, trials, options)
    if not trials:
        return []
    names = dict.fromkeys([*_FACTS, selected.column, *(name for name in selected.columns if "/" in name)])
    columns = [_format_column(name, selected.columns[name]) for name in names]
    return ["", *_fit_columns(columns), *text.format_omitted(selected.omitted, _SHOW_ALL)]


def _format_column(name: str, cells: Sequence[Any]) -> list[str]:
    """Return a heading and cells of equal width, numbers aligned right."""
    from rich.cells import cell_len

    words = [text.truncate(text.clean(name.partition("/")[2] or name), _HEAD), *map(text.format_value, cells)]
    width = max(map(cell_len, words))
    right = any(isinstance(cell, int | float) for cell in cells)
    return [" " * (width - cell_len(word)) + word if right else word + " " * (width - cell_len(word)) for word in words]


def _fit_columns(columns: Sequence[list[str]]) -> list[str]:
    """Return the lines of a table; on a terminal, columns that do not fit are counted instead."""
    from rich.cells import cell_len

    from trialrun.cli.tables import count_fitting_columns

    widths = [cell_len(column[0]) for column in columns]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + 2 * len(widths)
    count = count_fitting_columns(widths, len(_FACTS) + 1, room)
    lines = ["  ".join(row).rstrip() for row in zip(*columns[:count], strict=True)]
    hidden = len(columns) - count
    return [*lines, f"… and {hidden} more columns: they do not fit this terminal"] if hidden else lines


def sort_row_indices(cells: Sequence[Any], *, descending: bool) -> list[int]:
    """Return the indices of `cells` in order: numbers before text, NaN and None last in either direction."""
    present = [index for index, cell in enumerate(cells) if cell is not None and cell == cell]  # NaN is not itself
    numbers = [index for index in present if isinstance(cells[index], int | float)]
    words = [index for index in present if not isinstance(cells[index], int | float)]
    numbers.sort(key=lambda index: cells[index], reverse=descending)
    words.sort(key=lambda index: str(cells[index]), reverse=descending)
    missing = set(range(len(cells))).difference(present)
    return [*numbers, *words, *sorted(missing)]


def _find_column(columns: Mapping[str, Any], wanted: str) -> str:
    """Return the column of that whole name, or of that name after `metrics/` or `config/`."""
    for name in (wanted, f"metrics/{wanted}", f"config/{wanted}"):
        if name in columns:
            return name
    short = [name.partition("/")[2] or name for name in columns]
    close = difflib.get_close_matches(wanted, short, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"Choose one of {', '.join(short[:20])}."
    raise UsageError("must be a column of the trials", where="--sort", got=repr(wanted), fix=text.clean(fix))


def _format_failures(study: Study, options: TableOptions) -> list[str]:
    failures = study.list_failures()
    if not failures:
        return []
    lines = ["", *text.format_field("failed", [str(len(failures))])]
    for failure in failures[: options.limit or None]:
        cause = f" ({text.clean(failure['cause'])})" if failure.get("cause") else ""
        error = text.format_message(failure.get("error", ""))
        lines.append(f"  {text.clean(failure.get('trial_id'))}{cause}: {error}")
        if options.traceback:
            traceback = str(failure.get("traceback") or "").splitlines()[-_TRACEBACK_LINES:]
            lines += [f"    {'  ' * line.startswith(' ')}{text.clean(line)}" for line in traceback]
    if options.limit:
        lines += [f"  {line}" for line in text.format_omitted(len(failures) - options.limit, _SHOW_ALL)]
    return lines
