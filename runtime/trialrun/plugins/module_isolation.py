"""Keep the modules of plugins that are loaded by path apart from each other.

Plugins are imported under the names that they have on the platform (`plugin.train`), so that a child process can read
what they pickle. Two plugins may then claim the same name. Each has its `PluginModules`; activating them puts its own
modules into `sys.modules` in place of others of the same names, so that a late `import helper` finds the right one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

__all__ = ["PluginModules", "module_path"]

_RESERVED = sys.stdlib_module_names | {"trialrun", "trialrun_hookspecs"}
_lock = threading.RLock()
_active_modules: list[PluginModules] = []  # the last activated come first


class PluginModules:
    """The modules of one plugin below `root`.

    `claims` maps top-level module names to their file or package folder. With `is_open`, other modules in `root` can
    be imported too, as next to a script. `target` is the loaded path: loading the same target again replaces these.
    """

    def __init__(self, *, target: Path, root: Path, claims: Mapping[str, Path], is_open: bool) -> None:
        self.target = target
        self.root = root
        self.claims = dict(claims)
        self.is_open = is_open
        self._names: set[str] = set()
        self._away: dict[str, ModuleType] = {}

    def has_module(self, name: str) -> bool:
        """Return whether the module of this name belongs to this plugin."""
        return name in self._names

    def find_conflicts(self) -> Mapping[str, str]:
        """Return the claimed names that modules outside all plugins have, with the origin of these."""
        with _lock:
            foreign = {name: sys.modules[name] for name in self.claims if name in sys.modules and not _find_owner(name)}
        taken = {name: str(module_path(module) or "built in") for name, module in foreign.items()}
        taken = {name: path for name, path in taken.items() if path != str(self.claims[name])}
        return taken | {name: "Python or trialrun itself" for name in self.claims if name in _RESERVED}

    @property
    def source_folder(self) -> Path:
        """The folder that holds all of the plugin's own files."""
        return self.root if self.is_open else next(iter(self.claims.values()))

    def reload(self, *modules: str) -> None:
        """Prepare a new import of these modules: forget those imported from the same files, and activate these."""
        with _lock:
            for plugin in [plugin for plugin in _active_modules if plugin.target == self.target]:
                _active_modules.remove(plugin)
                plugin.deactivate(plugin.top_levels())
            names = list(sys.modules)  # other threads may import meanwhile
            for name in [name for name in names if _is_within_modules(name, modules) and not _find_owner(name)]:
                del sys.modules[name]  # another import of the same files, whose content may have changed
            self.activate()
            if str(self.root) not in sys.path:
                sys.path.append(str(self.root))  # child processes get sys.path, not this finder
        importlib.invalidate_caches()

    def activate(self) -> None:
        """Let imports find this plugin's modules first."""
        with _lock:
            if _active_modules and _active_modules[0] is self:
                return
            if _finder not in sys.meta_path:
                sys.meta_path.insert(_path_finder_index(), _finder)
            for plugin in _active_modules:
                if plugin is not self:
                    plugin.deactivate(
                        {top for top in plugin.top_levels() if self._find_top_level_spec(top) is not None}
                    )
            _active_modules[:] = [self, *(plugin for plugin in _active_modules if plugin is not self)]
            sys.modules.update(self._away)
            self._away.clear()

    def find_spec(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Return the spec of a module of this plugin, or None for others."""
        top, _, rest = name.partition(".")
        if not rest:
            spec = self._find_top_level_spec(name)
        else:
            spec = PathFinder.find_spec(name, path) if self._has_top_level(top) else None
        if spec is None:
            return None
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _UncachedLoader(spec.loader.name, spec.loader.path)
        self._names.add(name)
        return spec

    def top_levels(self) -> set[str]:
        """Return the top-level names of this plugin's imported modules."""
        return {name.partition(".")[0] for name in self._names}

    def deactivate(self, tops: set[str]) -> None:
        """Take the modules below these names out of `sys.modules`, until `activate` puts them back."""
        for name in [name for name in self._names if name.partition(".")[0] in tops and name in sys.modules]:
            self._away[name] = sys.modules.pop(name)

    def _has_top_level(self, top: str) -> bool:
        return top in self._names or top in self.claims

    def is_deactivated(self, name: str) -> bool:
        """Return whether the module of this name belongs to this plugin and is not in `sys.modules` now."""
        return name in self._away

    def _find_top_level_spec(self, name: str) -> ModuleSpec | None:
        if name in self.claims:
            return _build_spec(name, self.claims[name])
        if not self.is_open or name in _RESERVED:
            return None
        spec = PathFinder.find_spec(name, [str(self.root)])
        # A plain folder beside the plugin, such as `datasets/`, must not hide an installed package of that name.
        return spec if spec is not None and spec.loader is not None and spec.has_location else None


class _UncachedLoader(SourceFileLoader):
    """Compiles the file each time: a bytecode cache is matched by seconds and size only, and leaves files behind."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


class _PluginFinder:
    """The one finder for all plugins; the last activated comes first."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        for plugin in tuple(_active_modules):  # a copy: another thread may activate one meanwhile
            spec = plugin.find_spec(name, path)
            if spec is not None:
                return spec
        return None


_finder: Any = _PluginFinder()


def module_path(module: ModuleType) -> Path | None:
    """Return a module's file, or a package's folder; None when it has neither."""
    file = getattr(module, "__file__", None)
    if file:
        path = Path(file).resolve()
        return path.parent if path.name == "__init__.py" else path
    folders = list(getattr(module, "__path__", []))
    return Path(folders[0]).resolve() if folders else None


def _find_owner(name: str) -> PluginModules | None:
    return next(
        (plugin for plugin in _active_modules if plugin.has_module(name) and not plugin.is_deactivated(name)), None
    )


def _is_within_modules(name: str, modules: Sequence[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _path_finder_index() -> int:
    return next((at for at, finder in enumerate(sys.meta_path) if finder is PathFinder), len(sys.meta_path))


def _build_spec(name: str, path: Path) -> ModuleSpec | None:
    if path.is_file():
        return importlib.util.spec_from_file_location(name, path)
    init = path / "__init__.py"
    if init.is_file():
        return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(path)])
    if not path.is_dir():
        return None
    spec = ModuleSpec(name, None, is_package=True)  # a package without __init__.py, of this folder only
    spec.submodule_search_locations = [str(path)]
    return spec
