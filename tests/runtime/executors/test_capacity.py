"""The capacity of nodes for a trial and its workers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.executors.capacity import (
    ResourceRequest,
    build_resource_request,
    can_fit_trial,
    check_capacity,
    how_many_fit,
)
from trialrun_hookspecs import Infeasible, parse_request

STRATEGIES = ["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]


def params(**given: Any) -> Any:
    tuning = {
        "hyperparameters": [{"name": "x", "type": "choice", "options": [1]}],
        "tune_config": {"metric": "loss", "mode": "min"},
    }
    job = {"action": "train", "params": {"name": "x", "dataset": 1, "is_tune": True, **tuning, **given}}
    return parse_request(job).params


def holds(need: ResourceRequest, nodes: list[dict[str, float]]) -> bool:
    """Every way to put the bundles on nodes, tried."""
    bundles = [bundle for bundle in (need.trial, *need.workers) if bundle]
    for places in itertools.product(range(len(nodes)), repeat=len(bundles)):
        if need.strategy == "STRICT_PACK" and len(set(places)) > 1:
            continue
        if need.strategy == "STRICT_SPREAD" and len(set(places)) < len(places):
            continue
        taken = [
            {key: sum(b.get(key, 0) for b, p in zip(bundles, places, strict=True) if p == n) for key in ("CPU", "GPU")}
            for n in range(len(nodes))
        ]
        if all(taken[n][key] <= nodes[n].get(key, 0) for n in range(len(nodes)) for key in taken[n]):
            return True
    return False


sizes = st.fixed_dictionaries({}, optional={"CPU": st.integers(1, 3), "GPU": st.integers(1, 2)})


@given(
    sizes, sizes.filter(bool), st.integers(0, 3), st.lists(sizes, min_size=1, max_size=3), st.sampled_from(STRATEGIES)
)
def test_it_fits_just_when_some_way_to_place_it_does(
    trial: Any, worker: Any, count: int, nodes: Any, strategy: str
) -> None:
    need = ResourceRequest(trial=trial, workers=[worker] * count, strategy=strategy)
    assert can_fit_trial(need, nodes) == holds(need, nodes)


def test_tenths_of_a_node_fit_ten_times() -> None:
    assert how_many_fit({"CPU": 0.1}, {"CPU": 1.0}) == 10
    assert how_many_fit({"CPU": 0.1}, {"CPU": 0.3}) == 3  # 0.3 / 0.1 is a hair less than 3
    assert how_many_fit({}, {"CPU": 1.0}) == math.inf


def test_a_jobs_need_counts_the_workers() -> None:
    need = build_resource_request(params(num_cpus=0.5, resources={"disk": 1}, workers={"count": 2, "num_gpus": 0.5}))
    assert need.total_resources == {"CPU": 2.5, "disk": 1.0, "GPU": 1.0}
    assert need.display_text == "0.5 CPU, 1 disk and 2 workers of 1 CPU, 0.5 GPU each"


def test_what_does_not_fit_is_told_with_what_there_is() -> None:
    need = build_resource_request(params(workers={"count": 2, "strategy": "STRICT_SPREAD"}))
    with pytest.raises(Infeasible) as caught:
        check_capacity(need, [{"CPU": 2.0}, {"CPU": 1.0}], "a cluster of 2 node(s)")
    assert "1 CPU and 2 workers of 1 CPU each (STRICT_SPREAD)" in str(caught.value)
    assert "there is 3 CPU, and 2 CPU at most on one node" in str(caught.value)


def test_a_custom_resource_that_no_node_has_comes_with_the_way_to_give_it() -> None:
    with pytest.raises(Infeasible, match=r"""0 disk.*ray start --resources='\{"disk": 1\}'"""):
        check_capacity(
            build_resource_request(params(resources={"disk": 1})), [{"CPU": 2.0, "memory": math.inf}], "this machine"
        )
