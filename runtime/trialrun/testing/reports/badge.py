"""The badge: a line such as `conformant 41/41`, as JSON for shields.io."""

from __future__ import annotations

import json

from trialrun.testing.reports.text import Json, count_applicable

__all__ = ["format_message", "render_endpoint"]

_COLORS = {"conformant": "#2e7d32", "partial": "#8d6e00", "not conformant": "#c62828"}
_OTHER = "#5f6368"
_LABEL = "trialrun"


def format_message(report: Json) -> str:
    """Return the verdict, with the numbers of passed and applicable checks."""
    return f"{report['result']['headline']} {report['ledger']['passed']}/{count_applicable(report)}"


def render_endpoint(report: Json) -> str:
    """Return the JSON of a shields.io endpoint."""
    colour = _COLORS.get(report["result"]["headline"], _OTHER)
    badge = {"schemaVersion": 1, "label": _LABEL, "message": format_message(report), "color": colour}
    return json.dumps(badge) + "\n"
