"""Plugins: load them, adapt their hooks, and call them."""

from __future__ import annotations

from trialrun.plugins.loading import InstalledPlugin, discover_plugins, load_plugin, load_recipe
from trialrun.plugins.manager import Manager
from trialrun.plugins.plugin import Plugin, Recipe

__all__ = ["InstalledPlugin", "Manager", "Plugin", "Recipe", "discover_plugins", "load_plugin", "load_recipe"]
