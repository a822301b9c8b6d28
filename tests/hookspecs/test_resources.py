"""Tests of the resources that a job may request for each trial."""

from __future__ import annotations

from typing import Any

import pytest

from trialrun_hookspecs import Params, RequestInvalid, parse_request


def params(**given: Any) -> Params:
    space = [{"name": "lr", "type": "uniform", "min": 0.1, "max": 1}]
    tuning = {"is_tune": True, "hyperparameters": space, "tune_config": {"metric": "m", "mode": "max"}}
    return parse_request({"action": "train", "params": {"name": "n", "dataset": 1, **tuning, **given}}).params


def refused(**given: Any) -> dict[str, str]:
    with pytest.raises(RequestInvalid) as caught:
        params(**given)
    return {problem.where: problem.rule for problem in caught.value.problems}


def test_a_trial_and_its_workers_are_bundles_as_ray_counts_them() -> None:
    made = params(num_gpus=0.5, resources={"disk": 2}, workers={"count": 2, "num_cpus": 0.5, "num_gpus": 1})
    assert made.bundle == {"CPU": 1.0, "GPU": 0.5, "disk": 2.0}
    assert made.worker_bundles == [{"CPU": 0.5, "GPU": 1.0}] * 2
    assert made.workers is not None
    assert made.workers.strategy == "PACK"
    assert params().worker_bundles == []


def test_a_trial_that_takes_nothing_itself_may_have_workers() -> None:
    assert params(num_cpus=0, workers={"count": 1}).bundle == {}
    assert "params.num_cpus" in refused(num_cpus=0)


@pytest.mark.parametrize("name", ["CPU", "gpu", "num_cpus", " ", "node:10.0.0.1", "object_store_memory"])
def test_a_resource_that_is_not_the_nodes_own_is_refused_by_its_name(name: str) -> None:
    assert list(refused(resources={name: 1})) == [f"params.resources.{name}"]
    assert list(refused(workers={"count": 1, "resources": {name: 1}})) == [f"params.workers.resources.{name}"]


def test_a_gpu_and_a_half_is_refused_as_ray_does() -> None:
    assert refused(num_gpus=1.5) == {"params.num_gpus": "a number of GPUs above 1 must be whole"}
    assert list(refused(workers={"count": 1, "num_gpus": 2.5})) == ["params.workers.num_gpus"]
    assert params(num_gpus=2).gpus == 2


def test_a_fraction_that_ray_cannot_count_is_refused() -> None:
    assert refused(num_cpus=0.00001) == {"params.num_cpus": "must be 0 or at least 0.0001"}
    assert list(refused(resources={"disk": 0.00001})) == ["params.resources.disk"]


def test_a_worker_takes_something() -> None:
    assert refused(workers={"count": 1, "num_cpus": 0}) == {"params.workers.num_cpus": "a worker must take something"}


def test_workers_are_as_strict_as_the_rest_of_a_job() -> None:
    assert set(refused(workers={"number": 2, "strategy": "NEAR"})) >= {
        "params.workers.number",
        "params.workers.strategy",
    }


@pytest.mark.parametrize("key", ["resources", "workers"])
def test_training_takes_none(key: str) -> None:
    job = {"name": "n", "dataset": 1, "hyperparameter": {}, key: {"count": 1} if key == "workers" else {"disk": 1}}
    with pytest.raises(RequestInvalid, match=f"{key} is for tuning only"):
        parse_request({"action": "train", "params": job})
