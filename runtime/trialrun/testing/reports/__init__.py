"""Reports: the JSON of a report, and the other formats, which are rendered from it."""

from __future__ import annotations

from trialrun.testing.reports.files import KINDS, parse_targets, write_reports

__all__ = ["KINDS", "parse_targets", "write_reports"]
