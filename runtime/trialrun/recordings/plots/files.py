"""A scene as a file: SVG as text, PNG through Pillow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from trialrun.recordings.plots.scene import Mark, Scene
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
_SHARP = 2  # pixels of a PNG for one of a scene: sharp on today's screens
_FINER = 2  # and each of them drawn so many times finer, for smooth lines


def build_palette(*, dark: bool) -> dict[str, str]:
    """Colours by the names that marks use."""
    return {**(_DARK if dark else _LIGHT), **{f"series{n}": color for n, color in enumerate(_SERIES[dark])}}


def render_svg(scene: Scene, colors: Mapping[str, str]) -> bytes:
    """A file of its own; every word in it is escaped."""
    body = "\n".join(_render_svg_mark(mark, colors[mark.color], colors["surface"]) for mark in scene.marks)
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    made = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{_escape_words(scene.label)}</title>\n'
        f'<rect width="100%" height="100%" fill="{colors["surface"]}"/>\n{body}\n</svg>\n'
    )
    return made.encode()


def _render_svg_mark(mark: Mark, color: str, ground: str) -> str:
    alpha = "" if mark.alpha == 1 else f' opacity="{mark.alpha:g}"'
    if mark.kind == "line":
        line = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in mark.points)
        stroke = f'stroke="{color}" stroke-width="{mark.size:g}" stroke-linejoin="round"'
        return f'<path d="{line}" fill="none" {stroke}{alpha}/>'
    if mark.kind == "dots":
        circles = "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{mark.size:g}"/>' for x, y in mark.points)
        return f'<g fill="{color}"{alpha}>{circles}</g>'
    (x, y), *rest = mark.points
    if mark.kind == "bar":
        width, height = rest[0][0] - x, rest[0][1] - y
        return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{color}"{alpha}/>'
    anchor = {"left": "start", "center": "middle", "right": "end"}[mark.align]
    bold = ' font-weight="600"' if mark.bold else ""
    place = f'x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}"'
    halo = f'stroke="{ground}" stroke-width="3" paint-order="stroke"'  # words stay readable above lines
    font = f'{halo} font-size="{mark.size:g}" font-family="{_FONT}"{bold}'
    return f'<text {place} fill="{color}" {font}>{_escape_words(mark.words)}</text>'


def _escape_words(words: str) -> str:
    """Escaped, and without the characters that no XML file may have."""
    kept = "".join(
        char
        if char in "\t\n" or (char >= " " and not "\ud800" <= char <= "\udfff" and char not in "\ufffe\uffff")
        else "�"
        for char in words
    )
    return escape(kept, {'"': "&quot;"})


def render_png(scene: Scene, colors: Mapping[str, str]) -> bytes:
    """Twice as many pixels as the scene has. Raises UsageError: Pillow is missing."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        fix = "Install the extra: pip install 'trialrun[png]', or take svg."
        raise UsageError("png needs Pillow", where="--format", got=str(error), fix=fix) from None
    scale = _SHARP * _FINER
    image = Image.new("RGB", (scene.width * scale, scene.height * scale), colors["surface"])
    for mark in scene.marks:
        pen = ImageDraw.Draw(image, "RGBA")
        color = (*_parse_rgb(colors[mark.color]), round(255 * mark.alpha))
        points = [(x * scale, y * scale) for x, y in mark.points]
        if mark.kind == "words":
            font = ImageFont.load_default(mark.size * scale)
            anchor = {"left": "ls", "center": "ms", "right": "rs"}[mark.align]
            pen.text(
                points[0],
                mark.words,
                fill=color,
                font=font,
                anchor=anchor,
                stroke_width=scale,
                stroke_fill=colors["surface"],
            )
        else:
            _draw_mark(pen, mark, points, color, mark.size * scale)
    small = image.resize((scene.width * _SHARP, scene.height * _SHARP), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _draw_mark(pen: Any, mark: Mark, points: list[tuple[float, float]], color: tuple[int, ...], size: float) -> None:
    if mark.kind == "line":
        pen.line(points, fill=color, width=max(round(size), 1), joint="curve")
    elif mark.kind == "bar":
        pen.rectangle(points, fill=color)
    else:
        for x, y in points:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=color)


def _parse_rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
