"""Load a plugin by its dotted path, `pkg.module` or `pkg.module:object`."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import pkgutil
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from trialrun.plugins.build import build_plugin, create_instance
from trialrun.plugins.class_trainable import is_class_trainable, make_hook_functions
from trialrun.plugins.import_errors import call_plugin_code, import_module
from trialrun.plugins.module_isolation import module_path
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun.plugins.suggestions import suggest_name, suggest_path
from trialrun_hookspecs.errors import PluginAbsent, PluginBroken

__all__ = ["import_dotted", "load_by_name", "resolve_attribute"]

_RULE = "there must be a plugin of that name"


def load_by_name(spec: str, *, name: str, root: str, need_train: bool) -> Plugin:
    """Return the plugin of a module or of an object in it; `root` (default: the current folder) is searched last."""
    where = f"plugin {spec!r}"
    dotted, colon, inner = spec.partition(":")
    parts = [*dotted.split("."), *(inner.split(".") if colon else [])]
    if not all(part.isidentifier() for part in parts):
        raise PluginAbsent(_RULE, where=where, got="no dotted path", fix=suggest_name(spec))
    _make_findable(parts[0], root)
    module = import_dotted(dotted, where=where, inside=None)
    inside = module_path(module)
    if inside is not None and not getattr(module, "__file__", None):
        got = f"the folder {inside}, which has no __init__.py"
        raise PluginAbsent(_RULE, where=where, got=got, fix=suggest_path(inside))
    code = resolve_attribute(module, inner, where=where, inside=inside) if colon else module
    named = make_hook_functions(code) if is_class_trainable(code) else None
    if inspect.isclass(code) and named is None:
        code = create_instance(code, where=where, inside=inside)
    recipe = Recipe(kind="module", spec=spec, name=name, root=_find_import_root(parts[0]))
    return build_plugin(code, name=name, source=spec, recipe=recipe, modules=None, need_train=need_train, named=named)


def import_dotted(dotted: str, *, where: str, inside: Path | None) -> ModuleType:
    """Return the module, imported part by part: this distinguishes an absent module from one with a missing import."""
    names = dotted.split(".")
    for at in range(1, len(names) + 1):
        name = ".".join(names[:at])
        if name not in sys.modules and _find_spec(name) is None:
            raise _absent_module_error(names, at, where)
        inside = inside or _find_module_path(names[0])
        import_module(name, where=where, inside=inside)
    return sys.modules[dotted]


def resolve_attribute(module: ModuleType, dotted: str, *, where: str, inside: Path | None) -> Any:
    """Return the attribute `a.b` of a module. Raises PluginAbsent when there is none."""
    value: Any = module
    for part in dotted.split("."):
        try:
            value = call_plugin_code(partial(getattr, value, part), where=where, inside=inside)
        except PluginBroken as error:
            if not isinstance(error.__cause__, AttributeError):
                raise
            close = difflib.get_close_matches(part, dir(value), n=1)
            fix = f"Did you mean {close[0]!r}?" if close else ""
            rule = f"{module.__name__} must have {dotted!r}"
            raise PluginAbsent(rule, where=where, got=f"no {part!r}", fix=fix) from None
    return value


def _make_findable(top: str, root: str) -> None:
    """Add the current folder (or `root`) to sys.path if it has the module: a console script does not search it."""
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        return
    folder = root or str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
        importlib.invalidate_caches()
        if importlib.util.find_spec(top) is None:
            sys.path.remove(folder)


def _find_import_root(top: str) -> str:
    path = module_path(sys.modules[top])
    return str(path.parent) if path else ""


def _find_spec(name: str) -> Any:
    parent = name.rpartition(".")[0]
    if parent and not hasattr(sys.modules[parent], "__path__"):
        return None
    return importlib.util.find_spec(name)


def _find_module_path(name: str) -> Path | None:
    if name in sys.modules:
        return module_path(sys.modules[name])
    spec = _find_spec(name)
    if spec is None or not spec.has_location or not spec.origin:
        return None
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path


def _absent_module_error(names: list[str], at: int, where: str) -> PluginAbsent:
    missing, parent = ".".join(names[:at]), ".".join(names[: at - 1])
    got = f"no module {missing!r}"
    if not parent:
        return PluginAbsent(_RULE, where=where, got=got, fix=suggest_name(".".join(names)))
    module = sys.modules[parent]
    if at == len(names) and names[-1] in vars(module):
        fix = f"Did you mean '{parent}:{names[-1]}'?"
    else:
        inner = [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
        close = difflib.get_close_matches(names[at - 1], inner, n=1)
        fix = f"Did you mean '{parent}.{close[0]}'?" if close else f"{parent} has: {', '.join(inner) or 'no modules'}."
    return PluginAbsent(_RULE, where=where, got=got, fix=fix)
