"""No file imports another in a circle, not even inside a function."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _modules() -> dict[str, Path]:
    modules = {}
    for root in ("hookspecs", "runtime", "reference_plugins"):
        for file in (ROOT / root).rglob("*.py"):
            parts = file.relative_to(ROOT / root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return modules


def _imports(code: str, modules: Mapping[str, object]) -> set[str]:
    """The modules that the code imports: at its top, in functions, or for a type checker alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & modules.keys() or {node.module}
    return found & modules.keys()


def _find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        return list(circle.args[1])
    return []


def test_no_file_is_in_a_circle() -> None:
    modules = _modules()
    graph = {name: _imports(file.read_text("utf-8"), modules) - {name} for name, file in modules.items()}
    assert _find_circle(graph) == []


def test_a_circle_inside_functions_is_seen() -> None:
    modules = {"a": 1, "b": 1, "p": 1, "p.c": 1}
    graph = {
        "a": _imports("def f():\n    from b import x\n", modules),
        "b": _imports("from p import c, other", modules),
        "p.c": _imports("class C:\n    def f(self):\n        import a\n", modules),
    }
    assert sorted(set(_find_circle(graph))) == ["a", "b", "p.c"]
