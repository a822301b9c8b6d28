"""The plots of a study by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.importance import MIN_TRIALS
from trialrun.recordings.jobs import list_series
from trialrun.recordings.plot_data import rank_trials, read_objective, study_importance
from trialrun.recordings.plots import drawn
from trialrun.recordings.plots.drawing import Drawing
from trialrun.recordings.plots.files import build_palette, render_png, render_svg
from trialrun.recordings.points import to_timestamp
from trialrun.recordings.rows import trial_values
from trialrun.recordings.source import Study
from trialrun_hookspecs.errors import UsageError

__all__ = ["PLOTS", "render_plot"]

_WRITERS = {"svg": render_svg, "png": render_png}
_LEAST_SIZE, _MOST_SIZE = 200, 8000
_LINES = 50
_POINTS = 400

Size = tuple[int, int]


def render_plot(study: Study, name: str, kind: str, *, metric: str | None, dark: bool, size: Size) -> bytes:
    """Return the file of one plot as bytes, `kind` svg or png.

    `size` is width and height in pixels, `metric` one for the plot `curves` (None: the objective). Raises UsageError:
    no such plot, metric, kind or size.
    """
    if name not in PLOTS:
        raise UsageError("must be a plot", where="--plot", got=repr(name), fix=f"Choose one of: {', '.join(PLOTS)}.")
    if kind not in _WRITERS:
        raise UsageError("must be svg or png", where="--format", got=repr(kind), fix="Choose one of them.")
    if not all(_LEAST_SIZE <= length <= _MOST_SIZE for length in size):
        rule = f"must be from {_LEAST_SIZE} to {_MOST_SIZE} pixels each way"
        raise UsageError(rule, where="--size", got=f"{size[0]}x{size[1]}", fix="Use a size such as 900x420.")
    if metric is not None and name != "curves":
        raise UsageError(
            "can only be given for the plot curves", where="--metric", got=f"--plot {name}", fix="Leave it out."
        )
    return _WRITERS[kind](PLOTS[name](study, size, metric), build_palette(dark=dark))


def _plot_history(study: Study, size: Size, _: str | None) -> Drawing:
    metric, mode = study.get_objective()
    trials = study.list_trials()
    best = study.find_best_id(trials)
    dots = [
        drawn.Dot(trial.number, value, trial.status == "ERROR", trial.trial == best)
        for trial in trials
        if (value := read_objective(trial, metric)) is not None
    ]
    return drawn.draw_history(dots, size, metric or "objective", mode)


def _plot_curves(study: Study, size: Size, requested: str | None) -> Drawing:
    series = list_series(study.recording.store, study.job)
    names = [one["name"] for one in series]
    metric = requested or study.get_objective()[0] or next(iter(names), "objective")
    if requested is not None and requested not in names:
        fix = f"Choose one of: {', '.join(names[:20])}." if names else "No metric was reported."
        raise UsageError("must be a metric that was reported", where="--metric", got=repr(requested), fix=fix)
    event = next((one["event"] for one in series if one["name"] == metric), "trial_result")
    lines = {}
    trials: list[str | None] = [*rank_trials(study, study.list_trials())[:_LINES]]
    for trial in trials or [None]:
        line = study.recording.curves.load_line(study.job, trial, event, metric)
        places = downsample_indices(line.values, _POINTS)
        if places:
            lines[trial or "job"] = [line.steps[at] for at in places], [line.values[at] for at in places]
    return drawn.draw_curves(lines, size, metric)


def _plot_parallel(study: Study, size: Size, _: str | None) -> Drawing:
    metric, mode = study.get_objective()
    trials = study.list_trials()
    best = study.find_best_id(trials)
    names = study.recording.get_trial_index(study.job).columns["hyperparameters"]
    rows: list[list[Any]] = []
    chosen = None
    for trial in trials:
        value = read_objective(trial, metric)
        if value is not None and trial.status != "ERROR":
            chosen = len(rows) if trial.trial == best else chosen
            config = trial_values(trial)[0]
            rows.append([*(config.get(name) for name in names), value])
    return drawn.draw_parallel(rows, [*names, metric or "objective"], size, mode, chosen)


def _plot_importance(study: Study, size: Size, _: str | None) -> Drawing:
    importance = study_importance(study, study.list_trials())
    if importance["shares"]:
        note = f"omega squared of ranks, from {importance['trials']} finished trials"
    else:
        note = f"{MIN_TRIALS} finished trials are needed, {importance['trials']} have finished"
    return drawn.draw_importance(dict(importance["shares"]), size, note)


def _plot_timeline(study: Study, size: Size, _: str | None) -> Drawing:
    trials = study.list_trials()
    best = study.find_best_id(trials)
    bars = [
        drawn.Bar(
            to_timestamp(trial.started),
            to_timestamp(trial.ended or trial.updated),
            trial.status or "",
            trial.trial == best,
        )
        for trial in trials
        if trial.started is not None
    ]
    return drawn.draw_timeline(bars, size)


PLOTS: Mapping[str, Callable[[Study, Size, str | None], Drawing]] = {
    "history": _plot_history,
    "curves": _plot_curves,
    "parallel": _plot_parallel,
    "importance": _plot_importance,
    "timeline": _plot_timeline,
}
"""The function that draws each plot, by name; its last argument is the requested metric."""
