"""Find the hooks of a plugin's code: marked with @hookimpl, or plain functions of a module."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from trialrun.plugins.adapt import EXTENSIONS, HOOKS, Hook, adapt_hook, format_location
from trialrun.plugins.class_trainable import is_class_trainable, make_hook_functions
from trialrun_hookspecs.errors import Problem
from trialrun_hookspecs.markers import PROJECT_NAME

__all__ = ["ImplementedHooks", "find_hooks", "no_hooks_problem", "no_train_problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImplementedHooks:
    """The hooks that fit, and the problems of the others."""

    hooks: Mapping[str, Hook] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def find_hooks(
    code: object,
    *,
    where: str,
    owns: Callable[[str], bool] = lambda name: False,
    named: Mapping[str, Any] | None = None,
) -> ImplementedHooks:
    """Return the hooks of `code`. `owns` returns whether a module of that name belongs to the plugin.

    `named` maps hooks to functions directly, which take precedence over those of `code`.
    """
    candidates: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {}
    hooks: dict[str, Hook] = {}
    problems: list[Problem] = []
    for hook, function, options in _iter_marked_hooks(code):
        if hook not in HOOKS:
            problems.append(_unknown_hook_problem(hook, function, where))
        elif hook in candidates:
            rule = f"the hook {hook!r} must be implemented once"
            got, fix = f"a second one{format_location(function)}", "Drop @hookimpl from one of the two."
            problems.append(Problem(where=where, rule=rule, got=got, fix=fix))
        else:
            candidates[hook] = (function, options)
    for hook, function in _iter_unmarked_hooks(code, owns):
        candidates.setdefault(hook, (function, {}))
    candidates |= {hook: (function, {}) for hook, function in (named or {}).items()}
    for hook, (function, options) in candidates.items():
        adapted, faults = adapt_hook(hook, function, where=where, options=options)
        problems += faults
        if adapted is not None:
            hooks[hook] = adapted
    return ImplementedHooks(hooks=hooks, problems=tuple(problems))


def no_hooks_problem(code: object, *, where: str) -> Problem:
    """Return the problem of code without any hook, with what was probably meant."""
    rule = f"a plugin must implement a hook ({', '.join(HOOKS)})"
    return Problem(where=where, rule=rule, got=_describe_lookalike(code, HOOKS), fix=_suggest_fix(code))


def no_train_problem(code: object, *, where: str) -> Problem:
    """Return the problem of code without train(), with what was probably meant."""
    rule = "a plugin that is to run a job must have `train(run, dataset, hyperparameter, checkpoint)`"
    return Problem(where=where, rule=rule, got=_describe_lookalike(code, ("train",)), fix=_suggest_fix(code))


def _iter_marked_hooks(code: object) -> Iterator[tuple[str, Callable[..., Any], Mapping[str, Any]]]:
    reader = pluggy.PluginManager(PROJECT_NAME)
    for attribute in sorted(vars(code) if isinstance(code, ModuleType) else dir(code)):
        options = reader.parse_hookimpl_opts(code, attribute)
        if options is not None:
            yield options.get("specname") or attribute, getattr(code, attribute), dict(options)


def _iter_unmarked_hooks(code: object, owns: Callable[[str], bool]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield plain functions named like a hook.

    `from ray import tune` makes `tune` a module, and `from ray.tune import report` makes `report` a foreign function:
    only functions of the plugin's own modules are hooks, except train and tune, which may be imported from anywhere.
    """
    if not isinstance(code, ModuleType):
        return
    for hook, function in _find_trainable_hooks(code).items():
        if inspect.isclass(vars(code).get(hook, type)):
            yield hook, function
    for hook in HOOKS:
        found = vars(code).get(hook)
        if hook in EXTENSIONS:
            if inspect.isroutine(found) and _is_own(found, code, owns):
                yield hook, found
        elif callable(found) and not inspect.isclass(found):
            yield hook, found


def _find_trainable_hooks(code: ModuleType) -> Mapping[str, Callable[..., Any]]:
    """Return both hooks if a class in the style of Ray's Trainable is named like one of them."""
    classes = [found for hook in ("tune", "train") if is_class_trainable(found := vars(code).get(hook))]
    return make_hook_functions(classes[0]) if classes else {}


def _is_own(function: object, code: ModuleType, owns: Callable[[str], bool]) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] == code.__name__.partition(".")[0] or owns(module)


def _unknown_hook_problem(hook: str, function: Callable[..., Any], where: str) -> Problem:
    close = difflib.get_close_matches(hook, HOOKS, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"The hooks are: {', '.join(HOOKS)}."
    rule = "@hookimpl must mark a hook"
    return Problem(where=where, rule=rule, got=f"{hook!r}{format_location(function)}, which is not a hook", fix=fix)


def _describe_lookalike(code: object, hooks: Mapping[str, Any] | tuple[str, ...]) -> str:
    for hook in hooks:
        found = inspect.getattr_static(code, hook, None)
        if found is not None:
            kind = "a module" if isinstance(found, ModuleType) else f"of type {type(found).__name__}"
            unmarked = " without @hookimpl" if inspect.isroutine(found) else ""
            return f"`{hook}`{unmarked}" if unmarked else f"`{hook}`, which is {kind}"
    return "none of that name" if len(hooks) == 1 else "none"


def _suggest_fix(code: object) -> str:
    if not isinstance(code, ModuleType):
        return "Mark the methods with `@hookimpl` from trialrun_hookspecs."
    if hasattr(code, "__path__") and any(found.name == "train" for found in pkgutil.iter_modules(code.__path__)):
        return "Write `from .train import train` in its __init__.py."
    classes = [name for name, value in vars(code).items() if inspect.isclass(value) and any(_iter_marked_hooks(value))]
    if classes:
        return f"Its class {classes[0]!r} has hooks: pass `{code.__name__}:{classes[0]}`."
    functions = [name for name, value in vars(code).items() if inspect.isfunction(value)]
    close = difflib.get_close_matches("train", [name.lower() for name in functions], n=1, cutoff=0.5)
    meant = [name for name in functions if close and name.lower() == close[0]]
    hint = f"Did you mean {meant[0]!r}? " if meant else ""
    return f"{hint}Write `def train(run, dataset, hyperparameter, checkpoint, **kwargs)`."
