"""The benchmarks are found, and their figures are judged rightly."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def run_all() -> ModuleType:
    where = importlib.util.spec_from_file_location("benchmarks_run_all", BENCHMARKS / "run_all.py")
    assert where is not None
    assert where.loader is not None
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("value", "aim", "verdict"),
    [(1.2, "≤ 3", True), (3.1, "≤ 3", False), (5, "≥ 5", True), (4, "≥ 5", False), (1, "", None)],
)
def test_an_aim_is_met_or_not(run_all: ModuleType, value: float, aim: str, verdict: bool | None) -> None:
    assert run_all.meets_aim({"figure": "f", "value": value, "aim": aim}) is verdict


def test_every_benchmark_takes_json(run_all: ModuleType) -> None:
    there = {file for file in BENCHMARKS.glob("*.py") if file.name != "run_all.py"}
    assert set(run_all.scripts()) == there


def _benchmark(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(f"# takes --json\n{code}\n", "utf-8")


def test_one_that_fails_does_not_hold_up_the_others(
    run_all: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _benchmark(tmp_path, "bad", "raise SystemExit('it broke')")
    _benchmark(tmp_path, "good", """print('[{"figure": "speed", "value": 2, "unit": "times", "aim": "≤ 3"}]')""")
    there = run_all.scripts(tmp_path)
    monkeypatch.setattr(run_all, "scripts", lambda: there)
    assert run_all.main(["--json"]) == 1
    out: Any = capsys.readouterr().out
    outcomes = run_all.json.loads(out)["benchmarks"]
    assert [outcome["benchmark"] for outcome in outcomes] == ["bad", "good"]
    assert "it broke" in outcomes[0]["error"]
    assert outcomes[1]["figures"][0]["value"] == 2
