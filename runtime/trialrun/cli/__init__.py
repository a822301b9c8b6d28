"""The command `trialrun`."""

from __future__ import annotations

from trialrun.cli.app import main

__all__ = ["main"]
