"""The web UI: recordings in a browser, live or as one HTML file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["STATIC"]

STATIC = Path(__file__).parent / "static"
"""The folder of the UI's own files; nothing secret is in them."""
