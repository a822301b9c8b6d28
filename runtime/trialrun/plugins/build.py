"""Making a plugin of what was loaded, if its hooks fit."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialrun.plugins.class_trainable import functions_of, is_stepping
from trialrun.plugins.hooks import Implemented, find_hooks, no_hooks, no_train
from trialrun.plugins.import_errors import guard
from trialrun.plugins.module_isolation import Home
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun_hookspecs.errors import PluginRefused

__all__ = ["build", "from_object", "instance"]


def build(
    code: Any,
    *,
    name: str,
    source: str,
    need_train: bool,
    recipe: Recipe | None = None,
    home: Home | None = None,
    named: Mapping[str, Any] | None = None,
) -> Plugin:
    """Give the plugin; raises PluginRefused with all problems. `named` gives functions for hooks outright."""
    where = f"plugin {source!r}"
    found = find_hooks(code, where=where, owns=home.owns if home else lambda module: False, named=named)
    problems = list(found.problems)
    if not problems and not found.hooks:
        problems.append(no_train(code, where=where) if need_train else no_hooks(code, where=where))
    elif (need_train or "tune" in found.hooks) and not _has_train(found):
        problems.append(no_train(code, where=where))
    if problems:
        raise PluginRefused(problems=problems)
    return Plugin(name=name, source=source, code=code, hooks=found.hooks, origin=recipe, home=home)


def from_object(code: object, *, need_train: bool) -> Plugin:
    """Take a live module, object, or class, which is called without arguments."""
    name = str(getattr(code, "__name__", None) or type(code).__name__)
    named = functions_of(code) if inspect.isclass(code) and is_stepping(code) else None
    if inspect.isclass(code) and named is None:
        code = instance(code, where=f"plugin {name!r}", inside=None)
    return build(code, name=name, source=name, need_train=need_train, named=named)


def instance(kind: type[Any], *, where: str, inside: Path | None) -> Any:
    """Call a plugin's class; raises PluginBroken when that fails."""
    rule = f"the class {kind.__name__} must be callable without arguments"
    return guard(kind, where=where, inside=inside, rule=rule)


def _has_train(found: Implemented) -> bool:
    """Whether there is a train(), be it one that does not fit."""
    return "train" in found.hooks or any(", train()" in problem.where for problem in found.problems)
