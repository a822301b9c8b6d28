"""The page: a recording looked at in a browser."""

from __future__ import annotations

from trialrun.recorder.page.app import Page
from trialrun.recorder.page.library import Library

__all__ = ["Library", "Page"]
