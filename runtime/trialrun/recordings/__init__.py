"""What is done with a recording afterwards: read, exported, drawn, replayed, compared."""

from __future__ import annotations

from trialrun.recordings.loaded import Loaded, load
from trialrun.recordings.source import Study, opened

__all__ = ["Loaded", "Study", "load", "opened"]
