"""The plots as drawings of plain data: history, curves, parallel coordinates, importance, time line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trialrun.numbers import is_finite_number
from trialrun.outcomes import is_better
from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.plots.drawing import (
    Drawing,
    Scale,
    draw_axes,
    format_number,
    linear_scale,
    logarithmic_scale,
    looks_logarithmic,
)

__all__ = [
    "MAX_COLORS",
    "Bar",
    "Chart",
    "Dot",
    "build_charts",
    "choose_color",
    "draw_chart",
    "draw_curves",
    "draw_history",
    "draw_importance",
    "draw_parallel",
    "draw_timeline",
]

MAX_COLORS = 6
"""Up to this many trials of a chart get a colour each; with more, the best one is coloured and the others recede."""

_MOST_AXES = 14
_MOST_PLACES = 24
_STATES = {"RUNNING": "running", "PAUSED": "paused", "TERMINATED": "terminated", "ERROR": "error"}
_SERIES = 8
_LEGEND = 12
_CHART_SIZE = 400, 220
_MOST_CHARTS, _MOST_LINES, _MOST_POINTS = 8, 50, 400
_CHART_STEPS = ("epoch", "step", "iteration", "training_iteration", "batch")

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial in the history; a `failed` one never counts as the best so far."""

    number: int
    value: float
    failed: bool = False
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A trial on the time line, in seconds."""

    started: float
    ended: float
    status: str
    is_best: bool = False


def draw_history(dots: Sequence[Dot], size: Size, metric: str, mode: Any) -> Drawing:
    """Return a drawing of the objective of each trial, with the best so far as a step line."""
    shown = sorted((dot for dot in dots if math.isfinite(dot.value)), key=lambda dot: dot.number)
    drawing = _create_drawing(size, f"{metric} of {len(shown)} trials, in their order, with the best so far")
    if not shown:
        return _draw_notice(drawing, f"no trial has reported {metric}")
    box = _plot_box(size)
    x = linear_scale(min(shown[0].number, 1), shown[-1].number, box[0] + 6, box[1] - 6)
    y = _vertical_scale([dot.value for dot in shown], box)
    draw_axes(drawing, x, y, box=box, titles=("trial", metric), whole=True)
    radius = 1.5 if len(shown) > 2000 else 2.2 if len(shown) > 300 else 3.2
    alpha = 0.45 if len(shown) > 2000 else 0.75
    drawing.add_dots(
        [(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if not dot.failed], "series2", radius, alpha
    )
    drawing.add_dots([(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if dot.failed], "error", radius)
    drawing.add_line(_trace_best_so_far(shown, x, y, mode), "accent", 2)
    drawing.add_dots([(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if dot.is_best], "best", 5)
    return drawing


def _trace_best_so_far(shown: Sequence[Dot], x: Scale, y: Scale, mode: Any) -> list[tuple[float, float]]:
    line: list[tuple[float, float]] = []
    level: float | None = None
    for dot in shown:
        if dot.failed or (level is not None and not is_better(dot.value, level, mode)):
            continue
        if level is not None:
            line.append((x.to_pixel(dot.number), y.to_pixel(level)))
        level = dot.value
        line.append((x.to_pixel(dot.number), y.to_pixel(level)))
    return line if level is None else [*line, (x.to_pixel(shown[-1].number), y.to_pixel(level))]


def draw_curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    size: Size,
    metric: str,
    *,
    axis: str = "step",
    colors: Mapping[str, str] | None = None,
) -> Drawing:
    """Return a drawing of learning curves: the steps and values of each trial.

    `colors` names the colour of each line and replaces legend and heading, for a page that has its own.
    """
    filled = {name: line for name, line in lines.items() if line[1]}
    drawing = _create_drawing(size, f"{metric}: {len(filled)} lines by {axis}")
    if not filled:
        return _draw_notice(drawing, f"no trial has reported {metric}")
    legend = colors is None and len(filled) <= _LEGEND and size[0] > 500
    left, right, top, bottom = _plot_box(size)
    box = left, right - (150 if legend else 0), top, bottom
    steps = [step for steps, _ in filled.values() for step in steps]
    x = linear_scale(min(steps), max(steps), box[0] + 2, box[1] - 6)
    y = _vertical_scale([value for _, values in filled.values() for value in values], box)
    draw_axes(drawing, x, y, box=box, titles=(axis, "" if colors else metric))
    many = len(filled) > 20
    for index, (name, (at, values)) in enumerate(filled.items()):
        color = f"series{index % _SERIES}" if colors is None else colors[name]
        points = [(x.to_pixel(step), y.to_pixel(value)) for step, value in zip(at, values, strict=True)]
        if len(points) == 1:
            drawing.add_dots(points, color, 3.5)
        else:
            title = f"{name[:200] or 'training'}: {values[0]:.4g} to {values[-1]:.4g}"
            drawing.add_line(points, color, 1.2 if many else 1.8, 0.6 if many and color != "best" else 1.0, title)
        if legend:
            height = top + 14 + 18 * index
            drawing.add_line([(box[1] + 14, height - 4), (box[1] + 30, height - 4)], color, 3)
            drawing.add_text((box[1] + 36, height), name[:18], size=11)
    return drawing


@dataclass(slots=True, kw_only=True)
class Chart:
    """One logged metric: its points by trial ("" in training mode), and the name of what counts along the x axis."""

    title: str
    axis: str
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def build_charts(metrics: Iterable[Mapping[str, Any]]) -> list[Chart]:
    """Return charts of a recorder's metrics, in the order of their first points."""
    charts: dict[tuple[str, str], Chart] = {}
    for metric in metrics:
        value: Any = metric.get("value")
        if not is_finite_number(value):
            continue
        category, key = str(metric.get("category")), str(metric.get("key"))
        beside = metric.get("metrics")
        extra: Mapping[str, Any] = beside if isinstance(beside, Mapping) else {}
        axis = next((name for name in _CHART_STEPS if is_finite_number(extra.get(name))), "point")
        chart = charts.setdefault((category, key), Chart(title=f"{category} / {key}", axis=axis))
        line = chart.lines.setdefault(str(metric.get("trial_id") or ""), [])
        step: Any = extra.get(chart.axis)
        line.append((float(step) if is_finite_number(step) else len(line) + 1.0, float(value)))
    return list(charts.values())[:_MOST_CHARTS]


def draw_chart(chart: Chart, *, best: str = "", names: Sequence[str] = ()) -> Drawing:
    """Return a small drawing of a chart. `names` gives the trials their colours, the same in every chart."""
    shown = list(chart.lines)[:_MOST_LINES]
    if best in chart.lines:
        shown = [*(name for name in shown if name != best), best]  # drawn last, above the others
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for name in shown:
        line = chart.lines[name]
        places = downsample_indices([value for _, value in line], _MOST_POINTS)
        lines[name] = [line[place][0] for place in places], [line[place][1] for place in places]
    colors = {name: choose_color(name, best, names) for name in lines}
    return draw_curves(lines, _CHART_SIZE, chart.title, axis=chart.axis, colors=colors)


def choose_color(name: str, best: str, names: Sequence[str]) -> str:
    """Return the name of the colour of a trial's line: `c0` to `c5`, or with more trials `best` or `other`."""
    if len(names) <= MAX_COLORS:
        return f"c{names.index(name)}" if name in names else "c0"
    return "best" if name == best else "other"


def draw_parallel(
    rows: Sequence[Sequence[Any]], names: Sequence[str], size: Size, mode: Any, best: int | None
) -> Drawing:
    """Return a line for each trial across its hyperparameters to the objective, the last cell of its row."""
    drawing = _create_drawing(size, f"{len(rows)} trials across {', '.join(names)}"[:300])
    if not rows:
        return _draw_notice(drawing, "no trial has ended")
    shown = [*range(min(len(names) - 1, _MOST_AXES - 1)), len(names) - 1]
    left, right, top, bottom = 50, size[0] - 60, 44, size[1] - 16
    gap = (right - left) / max(len(shown) - 1, 1)
    columns = [_build_axis([row[place] for row in rows], top, bottom) for place in shown]
    xs = [left + index * gap for index in range(len(shown))]
    judged = [row[-1] for row in rows if is_finite_number(row[-1])]
    low, high = (min(judged), max(judged)) if judged else (0.0, 1.0)
    many = len(rows)
    alpha = 0.12 if many > 3000 else 0.3 if many > 500 else 0.55
    order = sorted(range(many), key=lambda index: index == best)
    for index in order:
        cells = [rows[index][place] for place in shown]
        points = [(x, axis[0](cell)) for x, axis, cell in zip(xs, columns, cells, strict=True) if cell is not None]
        share = _normalize_objective(rows[index][-1], low, high, mode)
        if index == best:
            drawing.add_line(points, "best", 2.5)
            drawing.add_dots(points, "best", 3)
        else:
            drawing.add_line(points, "accent" if share > 0.5 else "pending", 1.2, alpha)
    for index, (place, x) in enumerate(zip(shown, xs, strict=True)):
        last = place == len(names) - 1
        drawing.add_line([(x, top), (x, bottom)], "strong", 1.5)
        most = max(int(gap / 6.4), 6)
        align = "left" if index == 0 and len(shown) > 1 else "right" if last else "center"
        shift = -44.0 if align == "left" else 54.0 if align == "right" else 0.0
        drawing.add_text((x + shift, 18), names[place][:most], align, "text", 12, last)  # type: ignore[arg-type]  # one of three
        side = "left" if last or index else "right"
        for at, label in columns[index][1][:12]:
            drawing.add_line([(x - 3, at), (x + 3, at)], "strong", 1)
            drawing.add_text((x + (6 if side == "left" else -6), at + 4), label[:14], side, "text")  # type: ignore[arg-type]  # same
    return drawing


def _build_axis(cells: Sequence[Any], top: float, bottom: float) -> tuple[Any, list[tuple[float, str]]]:
    """Return a map from cells to pixels and the axis labels: numbers on a scale, other values evenly spaced."""
    present = [cell for cell in cells if cell is not None]
    if present and all(is_finite_number(cell) for cell in present):
        low, high = min(present), max(present)
        scale = logarithmic_scale if looks_logarithmic(present) else linear_scale
        axis = scale(low, high, bottom, top)
        ticks = axis.ticks(4) if high > low else [low]
        return axis.to_pixel, [(axis.to_pixel(tick), format_number(tick)) for tick in ticks]
    values = sorted({_format_cell(cell) for cell in present})[:_MOST_PLACES]
    places = {value: bottom + (index + 0.5) / len(values) * (top - bottom) for index, value in enumerate(values)}
    return (lambda cell: places.get(_format_cell(cell), bottom)), [(at, value) for value, at in places.items()]


def _format_cell(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


def _normalize_objective(value: Any, low: float, high: float, mode: Any) -> float:
    if not is_finite_number(value):
        return 0.0
    share = (value - low) / (high - low) if high > low else 1.0
    return 1 - share if mode == "min" else share


def draw_importance(shares: Mapping[str, float], size: Size, note: str) -> Drawing:
    """Return a bar for each hyperparameter; `note` names the method, or gives the reason why present are none."""
    drawing = _create_drawing(size, f"Importance of hyperparameters, an estimate: {', '.join(shares)}"[:300])
    if not shares:
        return _draw_notice(drawing, note)
    drawing.add_text((16, 24), "Importance of hyperparameters, an estimate", color="text", size=13, bold=True)
    room = max(int((size[1] - 70) / 26), 1)
    wide = min(max(len(name) for name in shares) * 7 + 24, size[0] * 0.4)
    highest = max(*shares.values(), 0.01)
    for index, (name, share) in enumerate(list(shares.items())[:room]):
        y = 44 + index * 26
        drawing.add_text((16, y + 13), name[: int(wide / 7)], color="text", size=12)
        drawing.add_bar((wide, y), (size[0] - 70, y + 16), "line")
        drawing.add_bar((wide, y), (wide + (size[0] - 70 - wide) * share / highest, y + 16), "accent")
        drawing.add_text((size[0] - 16, y + 13), f"{share:.0%}", "right", size=12)
    drawing.add_text((16, size[1] - 12), note)
    return drawing


def draw_timeline(bars: Sequence[Bar], size: Size) -> Drawing:
    """Return the time of each trial as a bar; trials that ran at the same time lie in lanes of their own."""
    drawing = _create_drawing(size, f"When {len(bars)} trials ran")
    if not bars:
        return _draw_notice(drawing, "no trial has started")
    placed = _assign_lanes(bars)
    left, right, top, bottom = 12, size[0] - 12, 12, size[1] - 30
    begin, end = min(bar.started for bar in bars), max(bar.ended for bar in bars)
    span = max(end - begin, 0.001)
    unit, word = (1.0, "s") if span < 180 else (60.0, "min") if span < 10800 else (3600.0, "h")
    x = linear_scale(0, span / unit, left, right)
    tall = min((bottom - top) / (max(lane for _, lane in placed) + 1), 48.0)
    for tick in x.ticks(max(size[0] // 110, 2)):
        drawing.add_line([(x.to_pixel(tick), top), (x.to_pixel(tick), bottom)], "line", 1)
        drawing.add_text(
            (min(x.to_pixel(tick), right - 16), bottom + 18),
            f"{format_number(tick)} {word}",
            "center" if tick else "left",
        )
    for bar, lane in placed:
        start, stop = x.to_pixel((bar.started - begin) / unit), x.to_pixel((bar.ended - begin) / unit)
        y = top + lane * tall
        done = bar.status == "TERMINATED"
        box = (start, y + 1), (max(stop - 1, start + 1.5), y + max(tall - 1, 2))
        drawing.add_bar(*box, _STATES.get(bar.status, "pending"), 0.6 if done else 0.85)
        if bar.is_best and stop - start > 8:
            drawing.add_dots([(start + 6, y + tall / 2)], "best", min(tall / 4, 4))
    return drawing


def _assign_lanes(bars: Sequence[Bar]) -> list[tuple[Bar, int]]:
    free: list[float] = []
    placed = []
    for bar in sorted(bars, key=lambda bar: bar.started):
        lane = next((index for index, until in enumerate(free) if until <= bar.started), len(free))
        free[lane : lane + 1] = [max(bar.ended, bar.started)]
        placed.append((bar, lane))
    return placed


def _create_drawing(size: Size, label: str) -> Drawing:
    return Drawing(width=size[0], height=size[1], label=label)


def _draw_notice(drawing: Drawing, reason: str) -> Drawing:
    drawing.add_text((drawing.width / 2, drawing.height / 2), reason, "center", size=13)
    return drawing


def _plot_box(size: Size) -> tuple[float, float, float, float]:
    return 64, size[0] - 16, 34, size[1] - 42


def _vertical_scale(values: Sequence[float], box: tuple[float, float, float, float]) -> Scale:
    low, high = min(values), max(values)
    if looks_logarithmic(values):
        return logarithmic_scale(low, high, box[3], box[2])
    room = (high / 2 - low / 2) * 0.1
    return linear_scale(low - room, high + room, box[3], box[2])
