"""Fixtures for the tests of plugins: files to load, and a restored interpreter."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trialrun.plugins import loading, module_isolation

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def interpreter(tmp_path: Path) -> Iterator[None]:
    """Forget every plugin that a test loaded by path, and every module that it imported from its own folder."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for plugin in module_isolation._active_modules:
        plugin.deactivate(plugin.top_levels())
    module_isolation._active_modules.clear()
    loading._plugins_by_recipe.clear()
    for name in set(sys.modules) - modules:
        found = module_isolation.module_path(sys.modules[name])
        if found is not None and tmp_path in found.parents:
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("folder/plugin.py", source)` writes a file below the test's folder and gives its path."""

    def write(name: str, source: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return write
