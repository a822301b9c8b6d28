"""A hook exists only with a reference plugin that uses it, a place in the docs, and a test that names it."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

from trialrun_hookspecs import spec

ROOT = Path(__file__).resolve().parents[2]
HOOKS = spec.__all__


@cache
def _functions(folder: Path, files: str = "*.py") -> set[str]:
    trees = [ast.parse(file.read_text("utf-8")) for file in folder.rglob(files)]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_hook_says_what_it_promises() -> None:
    for hook in HOOKS:
        promise = inspect.getdoc(getattr(spec, hook)) or ""
        assert promise.partition("\n")[0].endswith("."), hook
        assert len(promise.splitlines()) > 1 or len(promise) > 80, hook


def test_every_hook_is_in_the_docs() -> None:
    reference = (ROOT / "docs" / "reference" / "hooks.md").read_text("utf-8")
    guide = (ROOT / "docs" / "how-to" / "plugins.md").read_text("utf-8")
    assert [hook for hook in HOOKS if f"## `{hook}`" not in reference] == []
    assert [hook for hook in HOOKS if f"`{hook}`" not in guide and f"## {hook}\n" not in guide] == []


def test_every_hook_is_used_by_a_reference_plugin() -> None:
    assert set(HOOKS) <= _functions(ROOT / "reference_plugins")


def test_every_hook_has_a_test_that_names_it() -> None:
    tests = [f"{name}_" for name in _functions(ROOT / "tests", "test_*.py") if name.startswith("test_")]
    assert [hook for hook in HOOKS if not any(f"_{hook}_" in name for name in tests)] == []
