"""A hook exists only with a reference plugin that uses it, a place in the docs, and a test that names it."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from trialrun_hookspecs import spec

ROOT = Path(__file__).resolve().parents[2]
HOOKS = spec.__all__


@cache
def _functions(folder: Path, files: str = "*.py") -> set[str]:
    trees = [ast.parse(file.read_text("utf-8")) for file in folder.rglob(files)]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_promises(hook: str) -> None:
    promise = inspect.getdoc(getattr(spec, hook)) or ""
    assert promise.partition("\n")[0].endswith(".")
    assert len(promise.splitlines()) > 1 or len(promise) > 80


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_docs(hook: str) -> None:
    page = (ROOT / "docs" / "reference" / "hooks.md").read_text("utf-8")
    assert f"## `{hook}`" in page
    guide = (ROOT / "docs" / "how-to" / "plugins.md").read_text("utf-8")
    assert f"`{hook}`" in guide or f"## {hook}\n" in guide


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_used_by_a_reference_plugin(hook: str) -> None:
    assert hook in _functions(ROOT / "reference_plugins")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_that_names_it(hook: str) -> None:
    tests = {name for name in _functions(ROOT / "tests", "test_*.py") if name.startswith("test_")}
    named = re.compile(rf"(?:^|_){hook}(?:_|$)")
    assert any(named.search(name.removeprefix("test_")) for name in tests)
