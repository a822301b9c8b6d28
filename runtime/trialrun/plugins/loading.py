"""Load a plugin from any of the six forms in which it may be given."""

from __future__ import annotations

import copyreg
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from trialrun.plugins.build import load_object
from trialrun.plugins.by_name import load_by_name
from trialrun.plugins.by_path import load_by_path
from trialrun.plugins.installed import find_installed, list_entry_points
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun.plugins.suggestions import ACCEPTED_FORMS, is_plugin_folder
from trialrun_hookspecs.errors import PluginAbsent, PluginBroken, PluginError

__all__ = ["InstalledPlugin", "discover_plugins", "load_installed", "load_plugin", "load_recipe"]

_plugins_by_recipe: dict[Recipe, Plugin] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """One entry point of group `trialrun`: the plugin, or the error that loading it gave."""

    name: str
    value: str
    distribution: str
    plugin: Plugin | None = None
    error: PluginError | None = None


def load_plugin(spec: str | Path | object, *, need_train: bool = False) -> Plugin:
    """Return a plugin: by path, dotted path, name of an installed one, or from a live module, class or object.

    A path is read again at each call. A bare name means an installed plugin before a folder, and a folder before a
    module. With `need_train`, a plugin with extension hooks only is refused too.
    Raises PluginAbsent, PluginBroken, or PluginRefused with all problems.
    """
    plugin = _load_spec(spec, need_train=need_train)
    if plugin.origin is not None:
        _plugins_by_recipe[plugin.origin] = plugin
    return plugin


def load_recipe(recipe: Recipe) -> Plugin:
    """Return the plugin of a recipe, loaded once per process: later trials in a worker get the same one."""
    if recipe not in _plugins_by_recipe:
        if recipe.kind == "path":
            _plugins_by_recipe[recipe] = load_by_path(Path(recipe.spec), need_train=False)
        else:
            _plugins_by_recipe[recipe] = load_by_name(recipe.spec, name=recipe.name, root=recipe.root, need_train=False)
    return _plugins_by_recipe[recipe]


def load_installed(point: EntryPoint, *, need_train: bool = False) -> Plugin:
    """Return the plugin that an entry point names. Raises PluginBroken when it is absent."""
    where = f"installed plugin {point.name!r}"
    match = re.match(r"^([\w.]+)\s*(?::\s*([\w.]+))?\s*(?:\[.*\])?$", point.value)
    if match is None:
        rule = "an entry point must have the form `pkg.module` or `pkg.module:object`"
        raise PluginBroken(rule, where=where, got=repr(point.value))
    spec = ":".join(filter(None, match.groups()))
    try:
        return load_by_name(spec, name=point.name, root="", need_train=need_train)
    except PluginAbsent as error:  # the distribution is installed, the module that it names is not
        fix = "Install it again."
        rule = "the module and object of its entry point must exist"
        raise PluginBroken(rule, where=where, got=error.problems[0].got, fix=fix) from error


def discover_plugins() -> list[InstalledPlugin]:
    """Return every installed plugin by name; a broken one has its error in place of the plugin."""
    return [_load_entry(point) for point in list_entry_points()]


def _load_entry(point: EntryPoint) -> InstalledPlugin:
    distribution = point.dist.name if point.dist else ""
    try:
        plugin = load_installed(point)
    except PluginError as error:
        return InstalledPlugin(name=point.name, value=point.value, distribution=distribution, error=error)
    return InstalledPlugin(name=point.name, value=point.value, distribution=distribution, plugin=plugin)


def _load_spec(spec: str | Path | object, *, need_train: bool) -> Plugin:
    if isinstance(spec, Plugin):
        return spec.require_train() if need_train else spec
    if isinstance(spec, Path):
        return load_by_path(spec, need_train=need_train)
    if not isinstance(spec, str):
        return load_object(spec, need_train=need_train)
    if not spec.strip() or "\0" in spec:
        raise PluginAbsent("a plugin must be named", where="plugin", got=repr(spec), fix=ACCEPTED_FORMS)
    if _looks_like_path(spec):
        return load_by_path(Path(spec), need_train=need_train)
    point = find_installed(spec)
    if point is not None:
        return load_installed(point, need_train=need_train)
    if is_plugin_folder(Path(spec)):
        return load_by_path(Path(spec), need_train=need_train)
    return load_by_name(spec, name=spec, root="", need_train=need_train)


def _looks_like_path(spec: str) -> bool:
    separators = {"/", os.sep, os.altsep or os.sep}
    return any(sep in spec for sep in separators) or spec.startswith((".", "~")) or spec.endswith((".py", ".yaml"))


def _reduce_plugin(plugin: Plugin) -> tuple[Callable[..., Plugin], tuple[Any, ...]]:
    return (load_plugin, (plugin.code,)) if plugin.origin is None else (load_recipe, (plugin.origin,))


copyreg.pickle(Plugin, _reduce_plugin)  # here, not in Plugin, which knows nothing of its loaders
