"""What each plot shows: history, curves, parallel coordinates, importance, time line, from plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialrun.numbers import is_finite_number
from trialrun.outcomes import is_better
from trialrun.recordings.plots.scene import (
    Scale,
    Scene,
    draw_axes,
    format_number,
    linear_scale,
    logarithmic_scale,
    looks_logarithmic,
)

__all__ = ["Bar", "Dot", "draw_curves", "draw_history", "draw_importance", "draw_parallel", "draw_timeline"]

_MOST_AXES = 14
_MOST_PLACES = 24
_STATES = {"RUNNING": "running", "PAUSED": "paused", "TERMINATED": "terminated", "ERROR": "error"}
_SERIES = 8
_LEGEND = 12

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial in the history; `failed` ones never count as the best."""

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


def draw_history(found: Sequence[Dot], size: Size, metric: str, mode: Any) -> Scene:
    """The objective of each trial, and the best so far as stairs."""
    shown = sorted((dot for dot in found if math.isfinite(dot.value)), key=lambda dot: dot.number)
    to = _create_scene(size, f"{metric} of {len(shown)} trials, in their order, with the best so far")
    if not shown:
        return _draw_notice(to, f"no trial has reported {metric}")
    box = _plot_box(size)
    x = linear_scale(min(shown[0].number, 1), shown[-1].number, box[0] + 6, box[1] - 6)
    y = _vertical_scale([dot.value for dot in shown], box)
    draw_axes(to, x, y, box=box, titles=("trial", metric), whole=True)
    radius = 1.5 if len(shown) > 2000 else 2.2 if len(shown) > 300 else 3.2
    alpha = 0.45 if len(shown) > 2000 else 0.75
    to.add_dots(
        [(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if not dot.failed], "series2", radius, alpha
    )
    to.add_dots([(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if dot.failed], "error", radius)
    to.add_line(_trace_best_so_far(shown, x, y, mode), "accent", 2)
    to.add_dots([(x.to_pixel(dot.number), y.to_pixel(dot.value)) for dot in shown if dot.is_best], "best", 5)
    return to


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


def draw_curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], size: Size, metric: str) -> Scene:
    """Learning curves: for each trial its steps and values."""
    drawn = {name: line for name, line in lines.items() if line[1]}
    to = _create_scene(size, f"{metric}: {len(drawn)} lines over steps")
    if not drawn:
        return _draw_notice(to, f"no trial has reported {metric}")
    legend = list(drawn)[:_LEGEND] if len(drawn) <= _LEGEND else []
    left, right, top, bottom = _plot_box(size)
    box = left, right - (150 if legend and size[0] > 500 else 0), top, bottom
    steps = [step for steps, _ in drawn.values() for step in steps]
    x = linear_scale(min(steps), max(steps), box[0] + 2, box[1] - 6)
    y = _vertical_scale([value for _, values in drawn.values() for value in values], box)
    draw_axes(to, x, y, box=box, titles=("step", metric))
    many = len(drawn) > 20
    for index, (name, (at, values)) in enumerate(drawn.items()):
        color = f"series{index % _SERIES}"
        points = [(x.to_pixel(step), y.to_pixel(value)) for step, value in zip(at, values, strict=True)]
        if len(points) == 1:
            to.add_dots(points, color, 3.5)
        else:
            to.add_line(points, color, 1.2 if many else 1.8, 0.6 if many else 1.0)
        if name in legend and size[0] > 500:
            height = top + 14 + 18 * index
            to.add_line([(box[1] + 14, height - 4), (box[1] + 30, height - 4)], color, 3)
            to.add_text((box[1] + 36, height), name[:18], size=11)
    return to


def draw_parallel(
    rows: Sequence[Sequence[Any]], names: Sequence[str], size: Size, mode: Any, best: int | None
) -> Scene:
    """A line for each trial across its hyperparameters to the objective, which is the last cell of its row."""
    to = _create_scene(size, f"{len(rows)} trials across {', '.join(names)}"[:300])
    if not rows:
        return _draw_notice(to, "no trial has ended")
    kept = [*range(min(len(names) - 1, _MOST_AXES - 1)), len(names) - 1]
    left, right, top, bottom = 50, size[0] - 60, 44, size[1] - 16
    gap = (right - left) / max(len(kept) - 1, 1)
    columns = [_build_axis([row[place] for row in rows], top, bottom) for place in kept]
    xs = [left + index * gap for index in range(len(kept))]
    judged = [row[-1] for row in rows if is_finite_number(row[-1])]
    low, high = (min(judged), max(judged)) if judged else (0.0, 1.0)
    many = len(rows)
    alpha = 0.12 if many > 3000 else 0.3 if many > 500 else 0.55
    order = sorted(range(many), key=lambda index: index == best)
    for index in order:
        cells = [rows[index][place] for place in kept]
        points = [(x, axis[0](cell)) for x, axis, cell in zip(xs, columns, cells, strict=True) if cell is not None]
        share = _normalize_objective(rows[index][-1], low, high, mode)
        if index == best:
            to.add_line(points, "best", 2.5)
            to.add_dots(points, "best", 3)
        else:
            to.add_line(points, "accent" if share > 0.5 else "pending", 1.2, alpha)
    for index, (place, x) in enumerate(zip(kept, xs, strict=True)):
        last = place == len(names) - 1
        to.add_line([(x, top), (x, bottom)], "strong", 1.5)
        most = max(int(gap / 6.4), 6)
        align = "left" if index == 0 and len(kept) > 1 else "right" if last else "center"
        shift = -44.0 if align == "left" else 54.0 if align == "right" else 0.0
        to.add_text((x + shift, 18), names[place][:most], align, "text", 12, last)  # type: ignore[arg-type]  # one of three
        side = "left" if last or index else "right"
        for at, words in columns[index][1][:12]:
            to.add_line([(x - 3, at), (x + 3, at)], "strong", 1)
            to.add_text((x + (6 if side == "left" else -6), at + 4), words[:14], side, "text")  # type: ignore[arg-type]  # same
    return to


def _build_axis(cells: Sequence[Any], top: float, bottom: float) -> tuple[Any, list[tuple[float, str]]]:
    """Where a cell lies, and what is written beside: numbers on a scale, anything else on places of its own."""
    there = [cell for cell in cells if cell is not None]
    if there and all(is_finite_number(cell) for cell in there):
        low, high = min(there), max(there)
        scale = logarithmic_scale if looks_logarithmic(there) else linear_scale
        made = scale(low, high, bottom, top)
        return made.to_pixel, [
            (made.to_pixel(tick), format_number(tick)) for tick in (made.ticks(4) if high > low else [low])
        ]
    values = sorted({_format_cell(cell) for cell in there})[:_MOST_PLACES]
    places = {value: bottom + (index + 0.5) / len(values) * (top - bottom) for index, value in enumerate(values)}
    return (lambda cell: places.get(_format_cell(cell), bottom)), [(at, value) for value, at in places.items()]


def _format_cell(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


def _normalize_objective(value: Any, low: float, high: float, mode: Any) -> float:
    if not is_finite_number(value):
        return 0.0
    share = (value - low) / (high - low) if high > low else 1.0
    return 1 - share if mode == "min" else share


def draw_importance(shares: Mapping[str, float], size: Size, said: str) -> Scene:
    """A bar for each hyperparameter; `said` names the method, or says why there are none."""
    to = _create_scene(size, f"Importance of hyperparameters, an estimate: {', '.join(shares)}"[:300])
    if not shares:
        return _draw_notice(to, said)
    to.add_text((16, 24), "Importance of hyperparameters, an estimate", color="text", size=13, bold=True)
    room = max(int((size[1] - 70) / 26), 1)
    wide = min(max(len(name) for name in shares) * 7 + 24, size[0] * 0.4)
    highest = max(*shares.values(), 0.01)
    for index, (name, share) in enumerate(list(shares.items())[:room]):
        y = 44 + index * 26
        to.add_text((16, y + 13), name[: int(wide / 7)], color="text", size=12)
        to.add_bar((wide, y), (size[0] - 70, y + 16), "line")
        to.add_bar((wide, y), (wide + (size[0] - 70 - wide) * share / highest, y + 16), "accent")
        to.add_text((size[0] - 16, y + 13), f"{share:.0%}", "right", size=12)
    to.add_text((16, size[1] - 12), said)
    return to


def draw_timeline(found: Sequence[Bar], size: Size) -> Scene:
    """When each trial ran; side by side what ran at the same time."""
    to = _create_scene(size, f"When {len(found)} trials ran")
    if not found:
        return _draw_notice(to, "no trial has started")
    placed = _assign_lanes(found)
    left, right, top, bottom = 12, size[0] - 12, 12, size[1] - 30
    begin, end = min(bar.started for bar in found), max(bar.ended for bar in found)
    span = max(end - begin, 0.001)
    unit, word = (1.0, "s") if span < 180 else (60.0, "min") if span < 10800 else (3600.0, "h")
    x = linear_scale(0, span / unit, left, right)
    tall = min((bottom - top) / (max(lane for _, lane in placed) + 1), 48.0)
    for tick in x.ticks(max(size[0] // 110, 2)):
        to.add_line([(x.to_pixel(tick), top), (x.to_pixel(tick), bottom)], "line", 1)
        to.add_text(
            (min(x.to_pixel(tick), right - 16), bottom + 18),
            f"{format_number(tick)} {word}",
            "center" if tick else "left",
        )
    for bar, lane in placed:
        start, stop = x.to_pixel((bar.started - begin) / unit), x.to_pixel((bar.ended - begin) / unit)
        y = top + lane * tall
        done = bar.status == "TERMINATED"
        box = (start, y + 1), (max(stop - 1, start + 1.5), y + max(tall - 1, 2))
        to.add_bar(*box, _STATES.get(bar.status, "pending"), 0.6 if done else 0.85)
        if bar.is_best and stop - start > 8:
            to.add_dots([(start + 6, y + tall / 2)], "best", min(tall / 4, 4))
    return to


def _assign_lanes(found: Sequence[Bar]) -> list[tuple[Bar, int]]:
    free: list[float] = []
    placed = []
    for bar in sorted(found, key=lambda bar: bar.started):
        lane = next((index for index, until in enumerate(free) if until <= bar.started), len(free))
        free[lane : lane + 1] = [max(bar.ended, bar.started)]
        placed.append((bar, lane))
    return placed


def _create_scene(size: Size, label: str) -> Scene:
    return Scene(width=size[0], height=size[1], label=label)


def _draw_notice(to: Scene, why: str) -> Scene:
    to.add_text((to.width / 2, to.height / 2), why, "center", size=13)
    return to


def _plot_box(size: Size) -> tuple[float, float, float, float]:
    return 64, size[0] - 16, 34, size[1] - 42


def _vertical_scale(values: Sequence[float], box: tuple[float, float, float, float]) -> Scale:
    low, high = min(values), max(values)
    if looks_logarithmic(values):
        return logarithmic_scale(low, high, box[3], box[2])
    room = (high / 2 - low / 2) * 0.1
    return linear_scale(low - room, high + room, box[3], box[2])
