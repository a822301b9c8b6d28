"""Breaks on import: raises."""

raise RuntimeError("no licence")
