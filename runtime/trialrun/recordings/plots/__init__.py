"""Plots of a study as files, drawn without a browser."""

from __future__ import annotations

from trialrun.recordings.plots.named import PLOTS, render_plot

__all__ = ["PLOTS", "render_plot"]
