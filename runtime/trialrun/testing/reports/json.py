"""The report as JSON: the source of all others, described by `report_schema()`."""

from __future__ import annotations

import json

from trialrun.testing.reports.text import Json

__all__ = ["render_report"]


def render_report(report: Json) -> str:
    """The report as text."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
