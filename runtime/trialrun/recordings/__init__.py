"""Recordings after a run: read, exported, drawn, replayed, compared."""

from __future__ import annotations

from trialrun.recordings.loaded import LoadedRun, load
from trialrun.recordings.source import Study, open_study

__all__ = ["LoadedRun", "Study", "load", "open_study"]
