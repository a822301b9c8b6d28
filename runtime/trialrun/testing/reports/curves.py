"""Curves of a recording as SVG: one chart per metric, one line per trial."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trialrun.testing.reports.text import clean_text

__all__ = ["MAX_COLORS", "Chart", "build_charts", "color_class", "draw_chart"]

MAX_COLORS = 6
"""With more lines than this the best one is coloured and the others recede."""

_MOST_CHARTS, _MOST_LINES, _MOST_POINTS = 8, 50, 400
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 400, 220, 56, 10, 14, 34
_STEPS = ("epoch", "step", "iteration", "training_iteration", "batch")

Point = tuple[float, float]


@dataclass(slots=True, kw_only=True)
class Chart:
    """One metric: its points by trial ("" in training mode), and what counts along the x axis."""

    title: str
    axis: str
    lines: dict[str, list[Point]] = field(default_factory=dict)


def build_charts(metrics: Iterable[Mapping[str, Any]]) -> list[Chart]:
    """Charts of a recording's metrics, in the order of their first points."""
    found: dict[tuple[str, str], Chart] = {}
    for metric in metrics:
        value = metric.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        category, key = str(metric.get("category")), str(metric.get("key"))
        more = metric.get("metrics")
        extra: Mapping[str, Any] = more if isinstance(more, Mapping) else {}
        step = next((name for name in _STEPS if _is_number(extra.get(name))), "point")
        chart = found.setdefault((category, key), Chart(title=f"{category} / {key}", axis=step))
        line = chart.lines.setdefault(str(metric.get("trial_id") or ""), [])
        x: Any = extra.get(chart.axis)
        line.append((float(x) if _is_number(x) else len(line) + 1.0, float(value)))
    return list(found.values())[:_MOST_CHARTS]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def draw_chart(chart: Chart, *, best: str = "", names: Sequence[str] = ()) -> str:
    """The chart as SVG. `names` gives the trials their colours, the same in every chart; `best` is on top."""
    lines = dict(list(chart.lines.items())[:_MOST_LINES])
    if best in chart.lines:
        lines.pop(best, None)
        lines[best] = chart.lines[best]  # drawn last
    points = [point for line in lines.values() for point in line]
    across = _Scale.from_values([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Scale.from_values([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_draw_grid(across, up),
        *(_draw_line(name, line, across, up, best, names) for name, line in lines.items()),
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{_HEIGHT - 4}" text-anchor="middle">{_escape_text(chart.axis)}</text>'
    )
    label = _escape_text(chart.title)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}, {len(chart.lines)} lines">'
        f"{''.join(parts)}</svg>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def from_values(cls, values: Sequence[float], start: float, end: float) -> _Scale:
        low, high = min(values, default=0.0), max(values, default=1.0)
        if low == high:
            room = abs(low) * 0.1 or 1.0
            low, high = low - room, high + room
        return cls(low=low, high=high, start=start, end=end, step=_nice_step((high / 5 - low / 5) or 1.0))

    def to_pixel(self, value: float) -> float:
        # halves first: the range of two floats may be more than the largest float
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        first = math.ceil(self.low / self.step)
        ticks = [(first + number) * self.step for number in range(7)]
        return [tick for tick in ticks if self.low <= tick <= self.high]


def _nice_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten, from below."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)


def _draw_grid(across: _Scale, up: _Scale) -> Iterable[str]:
    for tick in up.ticks():
        y = up.to_pixel(tick)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5}" text-anchor="end">{tick:.4g}</text>'
    for tick in across.ticks():
        x = across.to_pixel(tick)
        yield f'<text class="tick" x="{x}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{tick:.4g}</text>'


def _draw_line(name: str, line: list[Point], across: _Scale, up: _Scale, best: str, names: Sequence[str]) -> str:
    every = max(1, math.ceil(len(line) / _MOST_POINTS))
    shown = [*line[::every], *([line[-1]] if (len(line) - 1) % every else [])]
    path = " ".join(f"{across.to_pixel(x)},{up.to_pixel(y)}" for x, y in shown)
    style = color_class(name, best, names)
    title = f"<title>{_escape_text(name or 'training')}: {line[0][1]:.4g} to {line[-1][1]:.4g}</title>"
    x, y = (across.to_pixel(line[-1][0]), up.to_pixel(line[-1][1]))
    return f'<g class="{style}">{title}<polyline points="{path}"/><circle cx="{x}" cy="{y}" r="3"/></g>'


def color_class(name: str, best: str, names: Sequence[str]) -> str:
    """The CSS class of a trial's line."""
    if len(names) <= MAX_COLORS:
        return f"c{names.index(name)}" if name in names else "c0"
    return "best" if name == best else "other"


def _escape_text(text: object) -> str:
    return html.escape(clean_text(text, 200))
