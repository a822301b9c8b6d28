"""Adapt a plugin's function to the hook that it implements.

pluggy passes arguments by name, drops those that have defaults and ignores `**kwargs`. The platform passes them by
position, so this module calls the hooks of a plugin by position.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun_hookspecs import spec
from trialrun_hookspecs.errors import Problem

__all__ = ["EXTENSIONS", "HOOKS", "Hook", "adapt_hook", "format_location", "format_signature"]

HOOKS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(getattr(spec, name)).parameters) for name in spec.__all__
}
EXTENSIONS: tuple[str, ...] = tuple(name for name in HOOKS if name not in ("train", "tune"))

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MAX_SIGNATURE_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A plugin's implementation of one hook, called with the hook's arguments by position, whatever their names."""

    name: str
    function: Callable[..., Any]
    keywords: frozenset[str] | None  # extra keyword arguments that it takes; None: any but `positional_names`
    positional_names: frozenset[str]  # names that the positional arguments already fill
    tryfirst: bool = False  # from its @hookimpl
    trylast: bool = False

    def __call__(self, *args: Any, **extra: Any) -> Any:
        return self.function(*args, **{key: value for key, value in extra.items() if self._accepts_keyword(key)})

    def _accepts_keyword(self, keyword: str) -> bool:
        return keyword not in self.positional_names if self.keywords is None else keyword in self.keywords


def adapt_hook(
    name: str, function: Callable[..., Any], *, where: str, options: Mapping[str, Any] | None = None
) -> tuple[Hook | None, list[Problem]]:
    """Return `function` as the hook `name`, or the problems that prevent it. `where` names the plugin."""
    options = options or {}
    where = f"{where}, {name}(){format_location(function)}"
    problems = [*_check_kind(name, function, options, where=where)]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        rule = "a hook must be a function whose signature can be read"
        return None, [
            *problems,
            Problem(where=where, rule=rule, got=repr(function), fix=f"Write `{_format_expected(name)}`."),
        ]
    problems += _check_signature(name, function, parameters, where=where)
    if problems:
        return None, problems
    return _build_hook(name, function, parameters, options), []


def format_location(function: object) -> str:
    """Return a function's location, such as ` at plugin.py:12`, or an empty string when it is unknown."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f" at {Path(code.co_filename).name}:{code.co_firstlineno}" if code else ""


def format_signature(name: str, function: Callable[..., Any]) -> str:
    """Return the signature as written in the source, cut to 200 characters."""
    text = f"{name}{inspect.signature(function)}"
    return text if len(text) <= _MAX_SIGNATURE_LENGTH else text[: _MAX_SIGNATURE_LENGTH - 1] + "…"


def _format_expected(name: str) -> str:
    kwargs = () if name in EXTENSIONS else ("**kwargs",)
    return f"def {name}({', '.join((*HOOKS[name], *kwargs))})"


def _build_hook(
    name: str, function: Callable[..., Any], parameters: list[inspect.Parameter], options: Mapping[str, Any]
) -> Hook:
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    count = len(HOOKS[name])
    filled = {p.name for p in positional[:count] if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    named = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    named |= {p.name for p in positional[count:] if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    return Hook(
        name=name,
        function=function,
        keywords=None if takes_any else frozenset(named),
        positional_names=frozenset(filled),
        tryfirst=bool(options.get("tryfirst")),
        trylast=bool(options.get("trylast")),
    )


def _check_kind(name: str, function: Callable[..., Any], options: Mapping[str, Any], *, where: str) -> list[Problem]:
    problems = []
    target = inspect.unwrap(function)
    if inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target):
        fix = f"Write `{_format_expected(name)}`, and call asyncio.run() inside."
        problems.append(Problem(where=where, rule="a hook must be a plain function", got="an async function", fix=fix))
    if options.get("wrapper") or options.get("hookwrapper"):
        fix = "Mark it with plain @hookimpl."
        problems.append(Problem(where=where, rule="a hook must not be a wrapper", got="@hookimpl(wrapper)", fix=fix))
    elif inspect.isgeneratorfunction(target) and name not in ("tune", "trial_callbacks", "stoppers"):
        fix = "Only tune() may yield." if name == "train" else "Return the value."
        problems.append(Problem(where=where, rule="this hook must return", got="a generator", fix=fix))
    return problems


def _check_signature(
    name: str, function: Callable[..., Any], parameters: list[inspect.Parameter], *, where: str
) -> list[Problem]:
    rule = _find_broken_rule(name, parameters)
    if rule is None:
        return []
    fix = f"Write `{_format_expected(name)}`."
    if name in ("train", "tune"):
        fix += " Arguments are passed by position, and the order of train() and tune() differs."
    return [Problem(where=where, rule=rule, got=f"`{format_signature(name, function)}`", fix=fix)]


def _find_broken_rule(name: str, parameters: list[inspect.Parameter]) -> str | None:
    needed = HOOKS[name]
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    listed = f"({', '.join(needed)})"
    if any(p.name in needed and needed.index(p.name) != at for at, p in enumerate(positional)):
        return f"the parameters must have the order {listed}"
    endless = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    if len(positional) < len(needed) and not endless:
        return f"it must take {listed} by position"
    required = [p.name for p in positional[len(needed) :] if p.default is p.empty]
    required += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if required:
        passed = f"nothing but {listed}" if needed else "nothing"
        return f"{passed} is passed, so {', '.join(required)} must have a default"
    return None
