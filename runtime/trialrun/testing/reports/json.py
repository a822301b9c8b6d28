"""The report as JSON, from which all others are rendered; `report_schema()` describes it."""

from __future__ import annotations

import json

from trialrun.testing.reports.text import Json

__all__ = ["render_report"]


def render_report(report: Json) -> str:
    """Return the report as JSON text."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
