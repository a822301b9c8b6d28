"""Plugins: loading them, adapting what they wrote, and asking them."""

from __future__ import annotations

from trialrun.plugins.installed import Installed, discover
from trialrun.plugins.loading import load_plugin, load_recipe
from trialrun.plugins.manager import Manager
from trialrun.plugins.plugin import Plugin, Recipe

__all__ = ["Installed", "Manager", "Plugin", "Recipe", "discover", "load_plugin", "load_recipe"]
