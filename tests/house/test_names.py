"""Every module says truly what it offers."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    ROOT / "hookspecs" / "trialrun_hookspecs",
    ROOT / "runtime" / "trialrun",
    ROOT / "reference_plugins" / "trialrun_reference",
)
MODULES = sorted(file for package in PACKAGES for file in package.rglob("*.py"))
EXECUTABLE = {"__main__.py"}
LAZY_ROOTS = [PACKAGES[0] / "__init__.py", PACKAGES[1] / "__init__.py"]
NOT_OFFERED = ("__init__", "expressions", "rules", "spec", "suggestions")
NOT_FOR_PLUGINS = {  # shared within the contract and the runtime
    "GRID_ALGORITHM",
    "make_bundle",
    "divides",
    "not_blank",
    "resource_rules",
    "rule_error",
}


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def _listed(file: Path) -> list[str] | None:
    for node in _tree(file).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]  # both kinds of assignment have it
    return None


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """The names that a module binds at its top, under `if` and `try` too."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and not _loaded(leaf))
        elif isinstance(node, ast.If | ast.Try):
            yield from _bound([*node.body, *node.orelse])


def _loaded(leaf: ast.Name) -> bool:
    return isinstance(leaf.ctx, ast.Load)


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_a_module_lists_what_it_offers() -> None:
    for file in MODULES:
        bound = set(_bound(_tree(file).body))
        listed = _listed(file)
        if file.name in EXECUTABLE or (file.name == "__init__.py" and not listed and bound <= {"annotations"}):
            continue  # a package that hands out nothing itself
        assert listed is not None, f"{file}: add __all__"
        assert set(listed) <= bound, f"{file}: a name in __all__ does not exist"
        assert listed == sorted(set(listed), key=_order), file


def test_a_folder_of_modules_is_a_package() -> None:
    folders = sorted({file.parent for file in MODULES})
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_a_package_is_typed() -> None:
    assert [package for package in PACKAGES if not (package / "py.typed").is_file()] == []


def test_a_source_root_is_no_package() -> None:
    assert [package.parent for package in PACKAGES if (package.parent / "__init__.py").exists()] == []


@pytest.mark.parametrize("file", LAZY_ROOTS, ids=_name)
def test_a_lazy_root_hands_out_every_name_it_lists(file: Path) -> None:
    package = importlib.import_module(file.parent.name)
    for name in _listed(file) or ():
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        package.nonsense  # noqa: B018  # asking is the test


@pytest.mark.parametrize("file", LAZY_ROOTS, ids=_name)
def test_no_module_hides_a_public_name_of_its_package(file: Path) -> None:
    """Importing the submodule would replace the function of its name in the package."""
    modules = {path.stem for path in file.parent.iterdir()} - {"spec"}  # which is handed out as the module it is
    assert not modules & set(_listed(file) or ())


def test_the_contract_offers_all_that_its_modules_do() -> None:
    files = [file for file in PACKAGES[0].glob("*.py") if file.stem not in NOT_OFFERED]
    offered = {name for file in files for name in _listed(file) or ()}
    assert set(_listed(LAZY_ROOTS[0]) or ()) == offered - NOT_FOR_PLUGINS | {"spec"}
