"""A tuning job whose backend fails, at each call and in each way, leaves what an undisturbed one leaves."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from trialrun.recorder import Fault
from trialrun.recorder.faults import FaultKind

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "faults.py"
KINDS = get_args(FaultKind)
MOST_CALLS = 40


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    where = importlib.util.spec_from_file_location("benchmarks_faults", BENCHMARK)
    assert where is not None
    assert where.loader is not None
    module = importlib.util.module_from_spec(where)
    sys.modules[where.name] = module  # dataclasses look their module up
    where.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def calm(faults: ModuleType) -> Any:
    return faults.ran([])


def test_an_undisturbed_job_is_whole(calm: Any) -> None:
    assert (calm.lost, calm.doubled, calm.struck) == (0, 0, 0)
    assert 5 < calm.calls <= MOST_CALLS
    assert len(calm.content["metrics"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_may_fail(faults: ModuleType, calm: Any, kind: FaultKind) -> None:
    """The kinds take turns over the calls: the state machines try every kind on every call of a client."""
    struck = 0
    for number in range(1 + KINDS.index(kind), calm.calls + 1, len(KINDS)):
        outcome = faults.ran([Fault(kind=kind, first=number, last=number, seconds=0.001)])
        assert (outcome.lost, outcome.doubled) == (0, 0)
        assert outcome.struck == (outcome.calls >= number)  # a slow machine sends fewer, larger batches
        assert outcome.content == calm.content
        struck += outcome.struck
    assert struck


@pytest.mark.parametrize("seed", range(4))
def test_many_calls_may_fail(faults: ModuleType, calm: Any, seed: int) -> None:
    schedule = faults.random_schedule(random.Random(f"test {seed}"), calm.calls)
    outcome = faults.ran(schedule, http=seed % 2 == 1)
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.content == calm.content


def test_a_backend_that_was_away_for_the_whole_run_gets_everything(faults: ModuleType, calm: Any) -> None:
    outcome = faults.ran_while_away()
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.content == calm.content
