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
def undisturbed(faults: ModuleType) -> Any:
    return faults.run_job([])


def test_an_undisturbed_job_is_whole(undisturbed: Any) -> None:
    assert (undisturbed.lost, undisturbed.doubled, undisturbed.struck) == (0, 0, 0)
    assert 5 < undisturbed.calls <= MOST_CALLS
    assert len(undisturbed.content["metrics"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_may_fail(faults: ModuleType, undisturbed: Any, kind: FaultKind) -> None:
    """The kinds take turns over the calls: the state machines try every kind on every call of a client."""
    struck = 0
    for number in range(1 + KINDS.index(kind), undisturbed.calls + 1, len(KINDS)):
        outcome = faults.run_job([Fault(kind=kind, first=number, last=number, seconds=0.001)])
        assert (outcome.lost, outcome.doubled) == (0, 0)
        assert outcome.struck == (outcome.calls >= number)  # a slow machine sends fewer, larger batches
        assert outcome.content == undisturbed.content
        struck += outcome.struck
    assert struck


@pytest.mark.parametrize("seed", range(4))
def test_many_calls_may_fail(faults: ModuleType, undisturbed: Any, seed: int) -> None:
    schedule = faults.random_schedule(random.Random(f"test {seed}"), undisturbed.calls)
    outcome = faults.run_job(schedule, http=seed % 2 == 1)
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.content == undisturbed.content


def test_a_backend_that_was_away_for_the_whole_run_gets_everything(faults: ModuleType, undisturbed: Any) -> None:
    outcome = faults.run_while_away()
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.content == undisturbed.content
