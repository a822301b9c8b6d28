"""The compatibility table is true: what it allows runs, and what it refuses is refused before anything starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.compat import ALGORITHMS, SCHEDULERS, check_alternatives
from trialrun.engine.job import prepare_job
from trialrun.run_dir.run_config import RunConfig
from trialrun.space import Space
from trialrun_hookspecs import DISTRIBUTIONS, Request, RequestInvalid, UsageError, hookimpl, parse_request

from .conftest import ROWS

FIELDS: dict[str, dict[str, Any]] = {
    "uniform": {"min": 0.5, "max": 2},
    "quniform": {"min": 0, "max": 1, "q": 0.25},
    "loguniform": {"min": 1e-4, "max": 1, "base": 10},
    "qloguniform": {"min": 0.1, "max": 0.4, "q": 0.1, "base": 10},
    "randn": {"mean": 1, "sd": 2},
    "qrandn": {"mean": 1, "sd": 2, "q": 0.5},
    "randint": {"min": 0, "max": 4},
    "qrandint": {"min": 0, "max": 8, "q": 2},
    "lograndint": {"min": 1, "max": 5, "base": 2},
    "qlograndint": {"min": 2, "max": 8, "q": 2, "base": 2},
    "choice": {"options": ["a", 1, True, None, {"k": [1]}]},
    "grid_search": {"options": [1, 2]},
}
INSTALLED = [name for name, facts in ALGORITHMS.items() if not facts.extra or importlib.util.find_spec(facts.extra)]


def drawn(kind: str, name: str = "x") -> dict[str, Any]:
    return {"name": name, "type": kind, **FIELDS[kind]}


def job(*space: dict[str, Any], **config: Any) -> Request:
    tune_config = {"metric": "loss", "mode": "min", "num_samples": 2, "seed": 1, **config}
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": list(space), "tune_config": tune_config}
    return parse_request({"action": "train", "params": params})


class Echo:
    """Reports a loss and keeps the values that it got."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> None:
        raise AssertionError("training has no business here")

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any = None) -> float:
        self.seen.append(hyperparameter)
        return float(len(self.seen))


def test_every_distribution_is_tried() -> None:
    assert set(FIELDS) == set(DISTRIBUTIONS)


@pytest.mark.parametrize("algorithm", INSTALLED)
def test_an_algorithm_runs_the_spaces_that_the_table_gives_it_and_no_others(tmp_path: Path, algorithm: str) -> None:
    ran = []
    for kind in DISTRIBUTIONS:
        against = check_alternatives(job(drawn(kind)).params)["search_alg"][algorithm]
        if against:
            with pytest.raises(RequestInvalid) as caught:
                prepare_job(
                    job(drawn(kind), search_alg=algorithm), plugin=Echo(), run_config=RunConfig(executor="inline")
                )
            assert [p.rule for p in caught.value.problems] == [p.rule for p in against]
            continue
        ran.append(kind)
        given, echo = job(drawn(kind), search_alg=algorithm), Echo()
        trialrun.run(given, plugin=echo, datasets={1: ROWS}, executor="inline", results=tmp_path)
        space = Space(given.params.hyperparameters or ())
        values = [hyperparameter["x"] for hyperparameter in echo.seen]
        assert len(values) == (4 if kind == "grid_search" else 2)
        assert all(space.contains("x", value) for value in values), (kind, values)
    assert set(DISTRIBUTIONS) - set(ran) == (set() if ALGORITHMS[algorithm].grid else {"grid_search"})


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("algorithm", ["basicvariantgenerator", "hyperoptsearch"])
def test_a_scheduler_is_made_for_the_jobs_that_the_table_gives_it_and_no_others(scheduler: str, algorithm: str) -> None:
    options = {"max_t": 5} if SCHEDULERS[scheduler].max_t else {}
    for kind in DISTRIBUTIONS:
        for name in ("x", "nested/x"):
            given = job(drawn(kind, name), search_alg=algorithm)
            against = check_alternatives(given.params)["scheduler"][scheduler]
            wanted = job(drawn(kind, name), search_alg=algorithm, scheduler={"name": scheduler, "options": options})
            if not against:
                assert prepare_job(wanted, plugin=Echo(), run_config=RunConfig(executor="ray")).total in (2, 4)
                continue
            with pytest.raises(UsageError) as caught:
                prepare_job(wanted, plugin=Echo(), run_config=RunConfig(executor="ray"))
            for problem in against:
                assert problem.rule in str(caught.value), (kind, name)
