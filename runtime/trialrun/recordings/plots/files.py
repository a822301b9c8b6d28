"""Drawings as files: SVG as text, PNG through Pillow."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from trialrun.recordings.plots.drawing import Drawing, Shape
from trialrun_hookspecs.errors import UsageError

__all__ = ["build_palette", "render_png", "render_svg"]

_LIGHT = {
    "text": "#182123", "muted": "#556164", "line": "#e6ebeb", "strong": "#b9c3c5", "surface": "#ffffff",
    "accent": "#0b6e69", "best": "#b06c00", "error": "#b3261e", "running": "#1559a8", "paused": "#6a4a9c",
    "terminated": "#2c7a45", "pending": "#8a979a",
}  # fmt: skip
_DARK = {
    "text": "#e3e9ea", "muted": "#9dabae", "line": "#263033", "strong": "#465357", "surface": "#171e20",
    "accent": "#55c7be", "best": "#ffce6b", "error": "#ff9a92", "running": "#83bbff", "paused": "#c3a9f3",
    "terminated": "#86d49a", "pending": "#7d8a8d",
}  # fmt: skip
_SERIES = (
    ("#0b6e69", "#c2571a", "#3566c0", "#a23b72", "#6b7a00", "#7a4fb5", "#00799f", "#8a5a44"),
    ("#55c7be", "#f3a26d", "#8fb4ff", "#ec92bd", "#c3cf5a", "#c3a9f3", "#6fd0f0", "#d3a58c"),
)
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, Liberation Sans, sans-serif"
# characters that XML forbids, controls, and those that turn the direction of text
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_SHARP = 2  # PNG pixels for one pixel of a drawing, for screens of high density
_FINER = 2  # each of them is drawn this many times finer, for smooth lines


def build_palette(*, dark: bool) -> dict[str, str]:
    """Return colours by the names that shapes use."""
    return {**(_DARK if dark else _LIGHT), **{f"series{n}": color for n, color in enumerate(_SERIES[dark])}}


def render_svg(drawing: Drawing, colors: Mapping[str, str]) -> bytes:
    """Return the drawing as an SVG file; every text in it is escaped."""
    body = "\n".join(_render_svg_shape(shape, colors[shape.color], colors["surface"]) for shape in drawing.shapes)
    size = f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}"'
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{_escape_words(drawing.label)}</title>\n'
        f'<rect width="100%" height="100%" fill="{colors["surface"]}"/>\n{body}\n</svg>\n'
    )
    return text.encode()


def _render_svg_shape(shape: Shape, color: str, ground: str) -> str:
    alpha = "" if shape.alpha == 1 else f' opacity="{shape.alpha:g}"'
    if shape.kind == "line":
        line = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in shape.points)
        stroke = f'stroke="{color}" stroke-width="{shape.size:g}" stroke-linejoin="round"'
        title = f"<title>{_escape_words(shape.title)}</title>" if shape.title else ""
        return f'<path d="{line}" fill="none" {stroke}{alpha}>{title}</path>'
    if shape.kind == "dots":
        circles = "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{shape.size:g}"/>' for x, y in shape.points)
        return f'<g fill="{color}"{alpha}>{circles}</g>'
    (x, y), *rest = shape.points
    if shape.kind == "bar":
        width, height = rest[0][0] - x, rest[0][1] - y
        return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{color}"{alpha}/>'
    anchor = {"left": "start", "center": "middle", "right": "end"}[shape.align]
    bold = ' font-weight="600"' if shape.bold else ""
    place = f'x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}"'
    halo = f'stroke="{ground}" stroke-width="3" paint-order="stroke"'  # text stays readable above lines
    font = f'{halo} font-size="{shape.size:g}" font-family="{_FONT}"{bold}'
    return f'<text {place} fill="{color}" {font}>{_escape_words(shape.words)}</text>'


def _escape_words(words: str) -> str:
    return escape(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", words), {'"': "&quot;"})


def render_png(drawing: Drawing, colors: Mapping[str, str]) -> bytes:
    """Return a PNG file with twice the width and height of the drawing. Raises UsageError: Pillow is missing."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        fix = "Install the extra: pip install 'trialrun[png]', or take svg."
        raise UsageError("png needs Pillow", where="--format", got=str(error), fix=fix) from None
    scale = _SHARP * _FINER
    image = Image.new("RGB", (drawing.width * scale, drawing.height * scale), colors["surface"])
    for shape in drawing.shapes:
        pen = ImageDraw.Draw(image, "RGBA")
        color = (*_parse_rgb(colors[shape.color]), round(255 * shape.alpha))
        points = [(x * scale, y * scale) for x, y in shape.points]
        if shape.kind == "words":
            font = ImageFont.load_default(shape.size * scale)
            anchor = {"left": "ls", "center": "ms", "right": "rs"}[shape.align]
            pen.text(
                points[0],
                shape.words,
                fill=color,
                font=font,
                anchor=anchor,
                stroke_width=scale,
                stroke_fill=colors["surface"],
            )
        else:
            _draw_shape(pen, shape, points, color, shape.size * scale)
    small = image.resize((drawing.width * _SHARP, drawing.height * _SHARP), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _draw_shape(pen: Any, shape: Shape, points: list[tuple[float, float]], color: tuple[int, ...], size: float) -> None:
    if shape.kind == "line":
        pen.line(points, fill=color, width=max(round(size), 1), joint="curve")
    elif shape.kind == "bar":
        pen.rectangle(points, fill=color)
    else:
        for x, y in points:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=color)


def _parse_rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
