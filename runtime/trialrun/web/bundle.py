"""JavaScript modules as one script: a page opened from disk may not import modules."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from trialrun_hookspecs.errors import BadValue

__all__ = ["bundle_modules"]

_IMPORT = re.compile(r"^import\s*\{([^}]*)\}\s*from\s*\"([^\"]+)\";?[ \t]*$", re.MULTILINE)
_EXPORT = re.compile(r"^export\s+(?=(?:async\s+)?(?:function\*?|class|const|let)\s+([A-Za-z_$][\w$]*))", re.MULTILINE)
_NAMES = re.compile(r"([A-Za-z_$][\w$]*)(?:\s+as\s+([A-Za-z_$][\w$]*))?")
_OTHER = re.compile(r"^\s*(?:import|export)\b|\bimport\s*\(|\bimport\.meta\b", re.MULTILINE)


def bundle_modules(sources: Mapping[str, str], entry: str) -> str:
    """Return `entry` and all its imports as one classic script in strict mode, each module once, imports first.

    `sources` maps paths to modules that use `import {a, b as c} from "./x.js"` and `export` before a declaration.
    Raises BadValue: another form, a missing module, or a circle.
    """
    order: list[str] = []
    _visit_module(sources, entry, (), order)
    number = {path: index for index, path in enumerate(order)}
    parts = [_wrap_module(path, sources[path], number) for path in order]
    return '"use strict";\n(() => {\nconst modules = [];\n' + "\n".join(parts) + "\n})();\n"


def _visit_module(sources: Mapping[str, str], path: str, above: tuple[str, ...], order: list[str]) -> None:
    if path in order:
        return
    if path in above:
        raise BadValue("modules must not import one another in a circle", where=path, got=" → ".join((*above, path)))
    if path not in sources:
        raise BadValue("an imported module must exist", where=above[-1] if above else "bundle", got=path)
    for _, target in _IMPORT.findall(sources[path]):
        _visit_module(sources, _resolve_path(path, target), (*above, path), order)
    order.append(path)


def _resolve_path(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _wrap_module(path: str, source: str, number: Mapping[str, int]) -> str:
    """Return a module as a function that returns its exports."""

    def replace_import(match: re.Match[str]) -> str:
        names = ", ".join(f"{name}: {alias}" if alias else name for name, alias in _NAMES.findall(match[1]))
        return f"const {{ {names} }} = modules[{number[_resolve_path(path, match[2])]}];"

    exports = _EXPORT.findall(source)
    code = _EXPORT.sub("", _IMPORT.sub(replace_import, source))
    if other := _OTHER.search(code):
        line = code[other.start() :].lstrip().partition("\n")[0]
        raise BadValue("must import and export by name", where=path, got=line[:100])
    return f"modules[{number[path]}] = (() => {{ // {path}\n{code}\nreturn {{ {', '.join(exports)} }};\n}})();"
