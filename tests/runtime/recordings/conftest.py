"""The study that the tests of this folder share."""

from __future__ import annotations

from .a_study import study

__all__ = ["study"]
