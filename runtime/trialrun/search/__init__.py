"""Search algorithms by name: thin ask/tell adapters of their libraries, imported on use."""

from __future__ import annotations

from trialrun.search.registry import ALGORITHMS, GRID_ALGORITHM, create_algorithm, parse_points

__all__ = ["ALGORITHMS", "GRID_ALGORITHM", "create_algorithm", "parse_points"]
