"""Search algorithms by name: thin ask/tell doors to their libraries, imported when named."""

from __future__ import annotations

from trialrun.search.registry import ALGORITHMS, GRID_ALGORITHM, create_algorithm, parse_points

__all__ = ["ALGORITHMS", "GRID_ALGORITHM", "create_algorithm", "parse_points"]
