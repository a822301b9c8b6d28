"""Large data reaches trials through Ray's object store: once per node."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).resolve().parents[4] / "benchmarks" / "large_data.py"
MEGABYTES = 100
TRIALS = 4


@pytest.fixture
def large_data() -> Iterator[ModuleType]:
    where = importlib.util.spec_from_file_location("benchmarks_large_data", BENCHMARK)
    assert where is not None
    assert where.loader is not None
    module = importlib.util.module_from_spec(where)
    sys.modules[where.name] = module  # a live plugin's code is sent along with its module
    where.loader.exec_module(module)
    yield module
    del sys.modules[where.name]


@pytest.mark.ray
def test_four_trials_read_one_copy_of_an_array(large_data: ModuleType, tmp_path: Path) -> None:
    found = large_data.measure(MEGABYTES, TRIALS, tmp_path)
    assert [trial["loss"] for trial in found] == [MEGABYTES * 1e6 / 8] * TRIALS
    assert {trial["writeable"] for trial in found} == {0.0}
    assert all(trial["rss_grown"] > 0.9 * MEGABYTES for trial in found)  # each has read all of it,
    assert all(trial["uss_grown"] < 0.1 * MEGABYTES for trial in found)  # and holds none of it alone
    assert sum(trial["pss_grown"] for trial in found) < 1.5 * MEGABYTES
