"""The badge: a line such as `conformant 41/41`, as an SVG image or for shields.io."""

from __future__ import annotations

import html
import json

from trialrun.testing.reports.text import Json, count_applicable

__all__ = ["format_message", "render_endpoint", "render_svg"]

_COLORS = {"conformant": "#2e7d32", "partial": "#8d6e00", "not conformant": "#c62828"}
_OTHER = "#5f6368"
_LABEL = "trialrun"
_CHARACTER = 6.4  # mean width in pixels, of the font at its size


def format_message(report: Json) -> str:
    """The verdict, with how many of the checks that apply passed."""
    return f"{report['result']['headline']} {report['ledger']['passed']}/{count_applicable(report)}"


def render_endpoint(report: Json) -> str:
    """What shields.io calls an endpoint."""
    colour = _COLORS.get(report["result"]["headline"], _OTHER)
    badge = {"schemaVersion": 1, "label": _LABEL, "message": format_message(report), "color": colour}
    return json.dumps(badge) + "\n"


def render_svg(report: Json) -> str:
    """An image that needs no other file."""
    text = format_message(report)
    left, right = (round(len(word) * _CHARACTER) + 12 for word in (_LABEL, text))
    colour = _COLORS.get(report["result"]["headline"], _OTHER)
    said = html.escape(f"{_LABEL}: {text}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="round"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#round)"><rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14">{_LABEL}</text><text x="{left + right / 2}" y="14">{html.escape(text)}</text>'
        "</g></svg>\n"
    )
