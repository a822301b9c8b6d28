"""The page: a recording looked at in a browser."""

from __future__ import annotations

from trialrun.recordings.library import Library
from trialrun.web.app import Page

__all__ = ["Library", "Page"]
