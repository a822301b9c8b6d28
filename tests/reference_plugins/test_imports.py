"""Reference plugins import the contract and their own library only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trialrun_reference

FILES = sorted(Path(trialrun_reference.__path__[0]).glob("*.py"))

OWN_LIBRARIES = {
    "digit_images": {"PIL", "numpy"},
    "digits": {"sklearn"},
    "jsonl_writer": {"ray"},
    "mlflow_report": {"mlflow"},
    "patience_scheduler": {"ray"},
    "sklearn_digits": {"numpy", "sklearn"},
    "tensorboard_report": {"PIL", "tensorboardX"},
    "torch_digits": {"numpy", "safetensors", "torch"},
    "torch_digits_ray": {"ray", "torch"},
}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_plugin_imports_the_contract_and_its_own_library_only(file: Path) -> None:
    outside = set(imported(file)) - sys.stdlib_module_names
    assert outside <= {"trialrun_hookspecs", "trialrun_reference"} | OWN_LIBRARIES.get(file.stem, set())


def test_the_tutorial_imports_the_standard_library_only() -> None:
    (file,) = (file for file in FILES if file.stem == "pure")
    assert set(imported(file)) <= sys.stdlib_module_names


def test_no_plugin_imports_the_runtime() -> None:
    assert len(FILES) >= 8
    assert not [file.name for file in FILES if "trialrun" in imported(file)]
