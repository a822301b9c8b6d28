"""Loading a plugin, in whichever of the six ways it is handed over."""

from __future__ import annotations

import os
import re
from importlib.metadata import EntryPoint
from pathlib import Path

from trialrun.plugins.build import from_object
from trialrun.plugins.by_name import from_name
from trialrun.plugins.by_path import from_path
from trialrun.plugins.installed import find_installed
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun.plugins.suggestions import FORMS, is_plugin_folder
from trialrun_hookspecs.errors import PluginAbsent, PluginBroken

__all__ = ["load_installed", "load_plugin", "load_recipe"]

_loaded: dict[Recipe, Plugin] = {}


def load_plugin(spec: str | Path | object, *, need_train: bool = False) -> Plugin:
    """Load a plugin: a path, a dotted path, the name of an installed one, or a live module, class or object.

    A path is read anew each time. A bare name means an installed plugin before a folder, and a folder before a
    module. `need_train`: one with extension hooks only is refused as well.
    Raises PluginAbsent, PluginBroken or PluginRefused; the last one with all problems.
    """
    plugin = _load(spec, need_train=need_train)
    if plugin.origin is not None:
        _loaded[plugin.origin] = plugin
    return plugin


def load_recipe(recipe: Recipe) -> Plugin:
    """Load a plugin by its recipe, once per process: a worker's later trials get the same one."""
    if recipe not in _loaded:
        if recipe.kind == "path":
            _loaded[recipe] = from_path(Path(recipe.spec), need_train=False)
        else:
            _loaded[recipe] = from_name(recipe.spec, name=recipe.name, root=recipe.root, need_train=False)
    return _loaded[recipe]


def load_installed(point: EntryPoint, *, need_train: bool = False) -> Plugin:
    """Load the plugin that an entry point names."""
    where = f"installed plugin {point.name!r}"
    found = re.match(r"^([\w.]+)\s*(?::\s*([\w.]+))?\s*(?:\[.*\])?$", point.value)
    if found is None:
        rule = "an entry point must have the form `pkg.module` or `pkg.module:object`"
        raise PluginBroken(rule, where=where, got=repr(point.value))
    spec = ":".join(filter(None, found.groups()))
    try:
        return from_name(spec, name=point.name, root="", need_train=need_train)
    except PluginAbsent as error:  # the distribution is there, what it promises is not
        fix = "Install it again."
        raise PluginBroken("what it offers must be there", where=where, got=error.problems[0].got, fix=fix) from error


def _load(spec: str | Path | object, *, need_train: bool) -> Plugin:
    if isinstance(spec, Plugin):
        return spec.require_train() if need_train else spec
    if isinstance(spec, Path):
        return from_path(spec, need_train=need_train)
    if not isinstance(spec, str):
        return from_object(spec, need_train=need_train)
    if not spec.strip() or "\0" in spec:
        raise PluginAbsent("a plugin must be named", where="plugin", got=repr(spec), fix=FORMS)
    if _looks_like_path(spec):
        return from_path(Path(spec), need_train=need_train)
    point = find_installed(spec)
    if point is not None:
        return load_installed(point, need_train=need_train)
    if is_plugin_folder(Path(spec)):
        return from_path(Path(spec), need_train=need_train)
    return from_name(spec, name=spec, root="", need_train=need_train)


def _looks_like_path(spec: str) -> bool:
    separators = {"/", os.sep, os.altsep or os.sep}
    return any(sep in spec for sep in separators) or spec.startswith((".", "~")) or spec.endswith((".py", ".yaml"))
