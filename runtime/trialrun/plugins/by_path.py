"""Load a plugin from a .py file, a package folder, or a folder in the platform's form."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from trialrun.plugins.build import build_plugin
from trialrun.plugins.by_name import import_dotted, resolve_attribute
from trialrun.plugins.config_yaml import CONFIG, is_config_folder, read_config
from trialrun.plugins.import_errors import import_module
from trialrun.plugins.module_isolation import PluginModules
from trialrun.plugins.plugin import Plugin, Recipe
from trialrun.plugins.suggestions import path_exists, suggest_path
from trialrun_hookspecs.errors import PluginAbsent, PluginBroken, PluginRefused

__all__ = ["load_by_path"]


def load_by_path(path: Path, *, need_train: bool) -> Plugin:
    """Return the plugin at `path`, with the file's present content even if it was loaded before."""
    label = str(path)
    path = _resolve_path(path)
    if not path_exists(path):
        raise PluginAbsent(
            "there must be a file or folder", where=f"plugin {label!r}", got="none", fix=suggest_path(path)
        )
    if path.is_dir() and is_config_folder(path):
        return _load_config_folder(path, label, need_train=need_train)
    if not (_is_package(path) if path.is_dir() else path.suffix == ".py"):
        got = "a folder with neither" if path.is_dir() else "another kind of file"
        rule = "it must be a .py file, or a folder with __init__.py or config.yaml"
        raise PluginAbsent(rule, where=f"plugin {label!r}", got=got, fix=suggest_path(path))
    modules, name = _build_modules(path)
    modules.reload(name)
    module = import_module(name, where=f"plugin {label!r}", inside=modules.source_folder)
    recipe = _build_recipe(path)
    return build_plugin(module, name=recipe.name, source=label, recipe=recipe, modules=modules, need_train=need_train)


def _resolve_path(path: Path) -> Path:
    # os.path: the methods of Path raise for an unknown ~user or a folder without permission; these return False
    resolved = Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111
    return resolved.parent if resolved.name in (CONFIG, "__init__.py") and os.path.isfile(resolved) else resolved  # noqa: PTH113


def _build_recipe(path: Path) -> Recipe:
    return Recipe(kind="path", spec=str(path), name=path.stem if path.suffix == ".py" else path.name)


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _build_modules(path: Path) -> tuple[PluginModules, str]:
    """Return the modules of a file or package, and its module name, dotted when it is part of a package."""
    top = path
    while _is_package(top.parent):
        top = top.parent
    parts = [*path.relative_to(top.parent).parts]
    parts[-1] = path.stem if path.is_file() else path.name
    alone = top == path and path.is_file()
    modules = PluginModules(target=path, root=top.parent, claims={parts[0]: top}, is_open=alone)
    if not parts[0].isidentifier() or modules.find_conflicts():
        parts[0] = _unique_name(top)
        modules = PluginModules(target=path, root=top.parent, claims={parts[0]: top}, is_open=alone)
    return modules, ".".join(parts)


def _unique_name(path: Path) -> str:
    readable = re.sub(r"\W", "_", path.stem)
    return f"trialrun_plugin_{readable}_{hashlib.sha1(os.fsencode(path), usedforsecurity=False).hexdigest()[:8]}"


def _load_config_folder(folder: Path, label: str, *, need_train: bool) -> Plugin:
    where = f"plugin {label!r}"
    entries = read_config(folder, where=where)
    modules = PluginModules(
        target=folder, root=folder, claims=_find_owned_paths(folder, entries.top_levels(), where), is_open=True
    )
    for name, taken in modules.find_conflicts().items():
        rule = f"the module name {name!r} must be free for the plugin"
        raise PluginBroken(rule, where=f"{where}, {CONFIG}", got=f"taken by {taken}", fix=f"Rename {name!r}.")
    modules.reload(*modules.claims)
    module, train = _load_entry_point("actions.train.entrypoint", entries.train, folder, where)
    named = {"train": train}
    if entries.tune is not None:
        named["tune"] = _load_entry_point("actions.tune.entrypoint", entries.tune, folder, where)[1]
    elif _has_sibling(module, "tune"):
        beside = import_module(_sibling_name(module, "tune"), where=where, inside=folder)
        if callable(getattr(beside, "tune", None)):
            named["tune"] = beside.tune
        elif not callable(getattr(module, "tune", None)):
            rule = f"{beside.__name__} must define tune()"
            fix = "Write `def tune(hyperparameter, run, dataset, checkpoint, **kwargs)`, or rename the file."
            raise PluginRefused(rule, where=where, got="none", fix=fix)
    return build_plugin(
        module,
        name=entries.name,
        source=label,
        recipe=_build_recipe(folder),
        modules=modules,
        need_train=need_train,
        named=named,
    )


def _find_owned_paths(folder: Path, tops: Iterable[str], where: str) -> dict[str, Path]:
    """Return the file or folder of each module, found in the plugin's own folder only."""
    claims = {}
    for top in tops:
        files = [path for path in (folder / top / "__init__.py", folder / f"{top}.py") if path.is_file()]
        if not files and not (folder / top).is_dir():
            fix = "Check actions.train.entrypoint."
            got = f"none in {folder}"
            raise PluginBroken(f"there must be a module {top!r}", where=f"{where}, {CONFIG}", got=got, fix=fix)
        claims[top] = files[0] if files and files[0].name == f"{top}.py" else folder / top
        if claims[top].suffix == ".py" and (folder / "tune.py").is_file():
            claims["tune"] = folder / "tune.py"
    return claims


def _load_entry_point(key: str, entry: tuple[str, str], folder: Path, where: str) -> tuple[ModuleType, Any]:
    name, function = entry
    try:
        module = import_dotted(name, where=where, inside=folder)
        return module, resolve_attribute(module, function, where=where, inside=folder)
    except PluginAbsent as error:
        rule = f"{key} must name a function that is there"
        problem = error.problems[0]
        got = f"{name}.{function}: {problem.got or problem.rule}"
        raise PluginBroken(rule, where=f"{where}, {CONFIG}", got=got, fix=problem.fix) from error


def _sibling_name(module: ModuleType, name: str) -> str:
    return ".".join([*module.__name__.split(".")[:-1], name])


def _has_sibling(module: ModuleType, name: str) -> bool:
    folder = Path(module.__file__ or "").parent
    return (folder / f"{name}.py").is_file() or _is_package(folder / name)
