"""The package's metadata is true."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun_hookspecs import spec

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PLUGINS = PROJECT["project"]["entry-points"]["trialrun"]
NOT_PINNED = {"ax-platform", "safetensors", "torch", "trialrun"}  # large, and asked for by an extra alone; ourselves


LIBRARIES = {"torch_digits": ("torch", "safetensors"), "torch_digits_ray": ("torch", "safetensors")}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _asked_for() -> set[str]:
    project = PROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {_normal(re.match(r"[\w.-]+", line)[0]) for line in lines}  # type: ignore[index]  # every line begins with a name


def test_the_installed_version_is_the_one_that_is_imported() -> None:
    assert version("trialrun") == trialrun.__version__


def test_every_dependency_is_pinned_without_an_address() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", line) for line in lines)
    pinned = {_normal(line.partition("==")[0]) for line in lines}
    assert _asked_for() - NOT_PINNED <= pinned


@pytest.mark.parametrize("name", PLUGINS)
def test_every_entry_point_loads(name: str) -> None:
    (found,) = entry_points(group="trialrun", name=name)
    assert found.value == PLUGINS[name]
    for library in LIBRARIES.get(name, ()):
        pytest.importorskip(library, reason="an extra that the development environment does without")
    assert found.load() is not None


def _has_a_hook(file: Path) -> bool:
    body = ast.parse(file.read_text("utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name in spec.__all__ for node in body)


def test_every_reference_plugin_is_an_entry_point() -> None:
    files = (ROOT / "reference_plugins" / "trialrun_reference").glob("*.py")
    assert set(PLUGINS.values()) == {f"trialrun_reference.{file.stem}" for file in files if _has_a_hook(file)}


def test_the_wheel_holds_every_package() -> None:
    listed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    roots = [ROOT / name for name in ("hookspecs", "runtime", "reference_plugins")]
    there = {
        str(path.relative_to(ROOT))
        for root in roots
        for path in root.iterdir()
        if (path / "py.typed").is_file() or path.suffix == ".py"
    }
    assert set(listed) == there


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## (Unreleased|\d+\.\d+\.\d+)", text, re.MULTILINE)
