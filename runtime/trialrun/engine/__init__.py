"""The engine: a request in, hooks called through an executor, models and a result out."""

from __future__ import annotations

from trialrun.engine.job import Prepared, prepare, resume, run

__all__ = ["Prepared", "prepare", "resume", "run"]
