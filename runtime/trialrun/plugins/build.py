"""Build a plugin from loaded code, if its hooks fit."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialrun.plugins.class_trainable import is_class_trainable, make_hook_functions
from trialrun.plugins.hooks import ImplementedHooks, find_hooks, no_hooks_problem, no_train_problem
from trialrun.plugins.import_errors import call_plugin_code
from trialrun.plugins.module_isolation import PluginModules
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun_hookspecs.errors import PluginRefused

__all__ = ["build_plugin", "create_instance", "load_object"]


def build_plugin(
    code: Any,
    *,
    name: str,
    source: str,
    need_train: bool,
    recipe: Recipe | None = None,
    modules: PluginModules | None = None,
    named: Mapping[str, Any] | None = None,
) -> Plugin:
    """Return the plugin. `named` maps hooks to functions directly. Raises PluginRefused with all problems."""
    where = f"plugin {source!r}"
    implemented = find_hooks(
        code, where=where, owns=modules.has_module if modules else lambda module: False, named=named
    )
    problems = list(implemented.problems)
    if not problems and not implemented.hooks:
        problems.append(no_train_problem(code, where=where) if need_train else no_hooks_problem(code, where=where))
    elif (need_train or "tune" in implemented.hooks) and not _has_train(implemented):
        problems.append(no_train_problem(code, where=where))
    if problems:
        raise PluginRefused(problems=problems)
    return Plugin(name=name, source=source, code=code, hooks=implemented.hooks, origin=recipe, modules=modules)


def load_object(code: object, *, need_train: bool) -> Plugin:
    """Return the plugin of a live module, an object, or a class, which is called without arguments."""
    name = str(getattr(code, "__name__", None) or type(code).__name__)
    named = make_hook_functions(code) if inspect.isclass(code) and is_class_trainable(code) else None
    if inspect.isclass(code) and named is None:
        code = create_instance(code, where=f"plugin {name!r}", inside=None)
    return build_plugin(code, name=name, source=name, need_train=need_train, named=named)


def create_instance(kind: type[Any], *, where: str, inside: Path | None) -> Any:
    """Return an instance of a plugin's class. Raises PluginBroken when the call fails."""
    rule = f"the class {kind.__name__} must be callable without arguments"
    return call_plugin_code(kind, where=where, inside=inside, rule=rule)


def _has_train(implemented: ImplementedHooks) -> bool:
    """Return whether there is a train(), including one that does not fit."""
    return "train" in implemented.hooks or any(", train()" in problem.where for problem in implemented.problems)
