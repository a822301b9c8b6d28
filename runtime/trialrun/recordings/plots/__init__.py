"""Plots of a study as files, drawn without a browser."""

from __future__ import annotations

from trialrun.recordings.plots.named import PLOTS, plot

__all__ = ["PLOTS", "plot"]
