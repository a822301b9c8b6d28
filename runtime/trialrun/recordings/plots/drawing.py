"""A plot as plain shapes, with scales and axes, ready to be written as SVG or PNG."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Drawing",
    "Scale",
    "Shape",
    "draw_axes",
    "format_number",
    "linear_scale",
    "logarithmic_scale",
    "looks_logarithmic",
]

Align = Literal["left", "center", "right"]
XY = tuple[float, float]

_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A `line` through its points, `dots` at them, a `bar` between two of them, or `words` at one.

    `color` is a name of a palette. `size` is in pixels: a width, a radius, or the height of letters. `title` is the
    tooltip of a line.
    """

    kind: Literal["line", "dots", "bar", "words"]
    points: tuple[XY, ...]
    color: str
    size: float = 1.0
    alpha: float = 1.0
    words: str = ""
    title: str = ""
    align: Align = "left"
    bold: bool = False


@dataclass(slots=True, kw_only=True)
class Drawing:
    """Shapes in drawing order. `label` describes the plot in words."""

    width: int
    height: int
    label: str
    shapes: list[Shape] = field(default_factory=list)

    def add_line(
        self, points: Iterable[XY], color: str, size: float = 1.5, alpha: float = 1.0, title: str = ""
    ) -> None:
        self.shapes.append(Shape(kind="line", points=tuple(points), color=color, size=size, alpha=alpha, title=title))

    def add_dots(self, points: Iterable[XY], color: str, size: float = 3.0, alpha: float = 1.0) -> None:
        self.shapes.append(Shape(kind="dots", points=tuple(points), color=color, size=size, alpha=alpha))

    def add_bar(self, one: XY, other: XY, color: str, alpha: float = 1.0) -> None:
        self.shapes.append(Shape(kind="bar", points=(one, other), color=color, alpha=alpha))

    def add_text(
        self, at: XY, words: str, align: Align = "left", color: str = "muted", size: float = 11, bold: bool = False
    ) -> None:
        """Add one line of text; blanks are folded, and more than 60 characters are cut."""
        shown = " ".join(words.split())
        shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        if shown:
            self.shapes.append(
                Shape(kind="words", points=(at,), color=color, size=size, words=shown, align=align, bold=bold)
            )


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from values to pixels, and the values to write beside the axis."""

    to_pixel: Callable[[float], float]
    ticks: Callable[[int], list[float]]


def linear_scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return a linear scale from `low`..`high` to the pixels `start`..`end`; a single value lies in the middle."""
    if not high > low:
        room = abs(low) * 0.05 or 0.5
        low, high = low - room, high + room
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    middle, half = low / 2 + high / 2, high / 2 - low / 2  # halves: the difference of two large numbers may overflow

    def to_pixel(value: float) -> float:
        return start + ((value - middle) / half + 1) / 2 * (end - start)

    return Scale(to_pixel, lambda wanted: _linear_ticks(low, high, wanted))


def logarithmic_scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return a logarithmic scale for positive values."""
    if not high > low:
        low, high = low / 2, high * 2
    inner = linear_scale(math.log10(low), math.log10(high), start, end)

    def decade_ticks(wanted: int) -> list[float]:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        decades = [10.0**power for power in range(first, last + 1)]
        return (
            decades[:: math.ceil(len(decades) / max(wanted, 2))]
            if len(decades) > 1
            else _linear_ticks(low, high, wanted)
        )

    return Scale(lambda value: inner.to_pixel(math.log10(value)), decade_ticks)


def _linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    rough = (high / 2 - low / 2) / max(wanted, 1) * 2
    if not (math.isfinite(rough) and rough > 0):
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else rough
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [float(f"{n * step:.12g}") for n in range(first, min(last, first + 100) + 1)]
    return [tick for tick in ticks if math.isfinite(tick)] or [low]


def looks_logarithmic(values: Sequence[float]) -> bool:
    """Return whether the values are positive and span so many decades that a linear axis would squash most of them."""
    low, high = min(values), max(values)
    if low <= 0 or high / low < 12:
        return False
    return sorted(values)[len(values) // 2] < low + (high - low) * 0.25


def format_number(number: float) -> str:
    """Return the number in at most about seven characters."""
    if number == int(number) and abs(number) < 1e5:
        return str(int(number))
    size = abs(number)
    if 1e-3 <= size < 1e5:
        return f"{number:.4g}"
    digits, _, power = f"{number:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def draw_axes(
    drawing: Drawing,
    x: Scale,
    y: Scale,
    *,
    box: tuple[float, float, float, float],
    titles: tuple[str, str],
    whole: bool = False,
) -> None:
    """Draw a grid with values at the left, and a base line with values below. `box` is left, right, top, bottom.

    `titles` are those of the x and the y axis; with `whole` the x axis shows integers only.
    """
    left, right, top, bottom = box
    for tick in y.ticks(max(int((bottom - top) / 45), 2)):
        drawing.add_line([(left, y.to_pixel(tick)), (right, y.to_pixel(tick))], "line", 1)
        drawing.add_text((left - 8, y.to_pixel(tick) + 4), format_number(tick), "right")
    drawing.add_line([(left, bottom), (right, bottom)], "strong", 1)
    free = -math.inf
    for tick in x.ticks(max(int((right - left) / 80), 2)):
        words = format_number(tick)
        at = min(x.to_pixel(tick), right - len(words) * 3.2 + 8)
        if at - len(words) * 3.2 < free or (whole and tick != int(tick)):
            continue
        free = at + len(words) * 3.2 + 8
        drawing.add_line([(x.to_pixel(tick), bottom), (x.to_pixel(tick), bottom + 4)], "strong", 1)
        drawing.add_text((at, bottom + 17), words, "center")
    drawing.add_text((left, top - 10), titles[1], color="text", size=12)
    drawing.add_text((right, bottom + 32), titles[0], "right")
