"""Resources of trials on Ray: logical GPUs, custom resources, workers, and requests that do not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import trialrun
from trialrun_hookspecs import Infeasible

Tuned = Callable[..., Any]  # the fixture of the folder above

PLUGINS = Path(__file__).parents[3] / "broken_plugins"
EXAMPLES = Path(__file__).parents[4] / "examples"
ROWS = [{"category": "train", "data": {"x": 1}}]

pytestmark = pytest.mark.ray


def does(*what: str) -> list[dict[str, Any]]:
    return [{"name": "do", "type": "grid_search", "options": list(what)}]


def visible(study: Any) -> list[str]:
    return [message["content"] for message in study.recorder.messages() if "visible" in message["content"]]


def test_two_trials_share_a_gpu_and_both_see_it(tuned: Tuned) -> None:
    config = {"num_samples": 2, "max_concurrent_trials": 2, "wait_for_gpu_s": 5}
    study = tuned("takes_resources", does("meet"), executor="ray", params={"num_gpus": 0.5}, **config)
    found = [event["data"]["metrics"] for event in study.recorder.events("trial_result")]
    assert [(metrics["share"], metrics["met"]) for metrics in found] == [(0.5, 2), (0.5, 2)]
    assert visible(study) == ["visible '0'", "visible '0'"]


def test_no_more_trials_than_allowed_run_at_a_time(tuned: Tuned) -> None:
    space = [{"name": "do", "type": "choice", "options": ["count"]}]
    params = {"num_cpus": 0.5}
    study = tuned("takes_resources", space, executor="ray", params=params, num_samples=4, max_concurrent_trials=2)
    met = [event["data"]["metrics"]["met"] for event in study.recorder.events("trial_result")]
    assert len(met) == 4
    assert max(met) == 2


def test_whole_gpus_go_to_one_trial_at_a_time(tuned: Tuned) -> None:
    space = [{"name": "do", "type": "choice", "options": ["nothing"]}]
    study = tuned("takes_resources", space, executor="ray", params={"num_gpus": 1}, num_samples=2)
    assert visible(study) == ["visible '0'", "visible '0'"]
    assert [e["data"]["metrics"]["share"] for e in study.recorder.events("trial_result")] == [1.0, 1.0]


def test_the_workers_of_a_trial_run_in_the_room_that_was_kept_for_them(tuned: Tuned) -> None:
    params = {"num_cpus": 0.5, "workers": {"count": 2, "num_cpus": 0.5, "strategy": "STRICT_PACK"}}
    study = tuned("takes_resources", does("start workers"), executor="ray", params=params)
    (found,) = study.results_of("start workers")
    assert (found["bundles"], found["cpus"], found["inside"]) == (3, 1.5, 2)


def test_the_example_with_workers_runs_its_functions_in_them(tmp_path: Path) -> None:
    result = trialrun.run(
        YAML(typ="safe", pure=True).load((EXAMPLES / "cross_validation.yaml").read_text("utf-8")),
        plugin=EXAMPLES / "cross_validation.py",
        datasets={1: EXAMPLES / "line.csv"},
        results=tmp_path,
    )
    assert [failure.error for failure in result.failures] == []
    assert result.best_trial is not None
    assert result.best_trial.config["ridge"] == 0.001


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({"num_gpus": 2}, "a trial needs 1 CPU, 2 GPU; there is 4 CPU, 1 GPU"),
        ({"workers": {"count": 4}}, "1 CPU and 4 workers of 1 CPU each; there is 4 CPU"),
        ({"workers": {"count": 1, "strategy": "STRICT_SPREAD"}}, "1 worker of 1 CPU (STRICT_SPREAD); there is 4 CPU"),
        ({"resources": {"disk": 1}}, "1 CPU, 1 disk; there is 4 CPU, 0 disk"),
    ],
)
def test_what_no_node_can_hold_is_refused_with_what_there_is(tuned: Tuned, params: dict[str, Any], needs: str) -> None:
    with pytest.raises(Infeasible) as caught:
        tuned("takes_resources", does("nothing"), executor="ray", params=params)
    assert needs in str(caught.value)


SCRIPT = """
import json, sys, trialrun, trialrun.recorder
from trialrun_hookspecs import AllTrialsFailed
rows = [{"category": "train", "data": {"x": 1}}]
job, plugin, results = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
size = {"CPU": 2, "GPU": 2, "disk": 2}
try:
    result = trialrun.run(job, plugin=plugin, datasets={1: rows}, results=results, local_resources=size)
except AllTrialsFailed as failed:
    print(failed)
else:
    recorder = trialrun.recorder.Recorder.open(result.results_dir + "/recorder.sqlite")
    print(json.dumps([event["data"]["metrics"] for event in recorder.events("trial_result")]))
    recorder.close()
"""


BUSY_DRIVER = """
from types import SimpleNamespace
nvmlMemory_v2 = 2
class NVMLError(Exception): ...
def nvmlInit(): ...
def nvmlShutdown(): ...
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetName(handle): return "busy"
def nvmlDeviceGetIndex(handle): return 0
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetHandleByUUID(uuid): return uuid
def nvmlDeviceGetMemoryInfo(handle, version): return SimpleNamespace(used=900 * 2**20, total=1000 * 2**20)
def nvmlDeviceGetComputeRunningProcesses(handle): return []
"""
"""Stands in for the module `pynvml` on a machine whose GPUs are used by others."""


def alone(tmp_path: Path, params: dict[str, Any], modules: str = "", do: str = "nothing", **config: Any) -> str:
    """Return what a study in a Ray of its own prints: with two disks and GPUs; `modules` is first on its path."""
    tuning = {"hyperparameters": does(do), "tune_config": {"metric": "loss", "mode": "min", **config}}
    job = {"action": "train", "params": {"name": "x", "dataset": 1, "is_tune": True, **tuning, **params}}
    arguments = [json.dumps(job), str(PLUGINS / "takes_resources.py"), str(tmp_path / "results")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (modules, os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.ray(session=False)
def test_a_trial_takes_custom_resources_of_its_node(tmp_path: Path) -> None:
    (found,) = json.loads(
        alone(tmp_path, {"resources": {"disk": 1}, "workers": {"count": 1, "resources": {"disk": 0.5}}})
    )
    assert (found["bundles"], found["cpus"], found["disks"]) == (2, 2.0, 1.5)


@pytest.mark.ray(session=False)
def test_two_trials_at_a_time_see_a_gpu_each(tmp_path: Path) -> None:
    found = json.loads(alone(tmp_path, {"num_gpus": 1}, do="meet", num_samples=2))
    assert [trial["met"] for trial in found] == [2, 2]
    assert sorted(trial["device"] for trial in found) == [0, 1]


@pytest.mark.ray(session=False)
def test_a_trial_whose_gpu_stays_busy_fails_instead_of_running_out_of_memory(tmp_path: Path) -> None:
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "pynvml.py").write_text(BUSY_DRIVER)
    message = alone(tmp_path, {"num_gpus": 1}, modules=str(tmp_path / "driver"), wait_for_gpu_s=0.2)
    assert "GPU 0: 900 of 1000 MiB used by others" in message


def test_a_machine_too_small_for_a_trials_workers_is_refused_before_ray_starts(tmp_path: Path) -> None:
    tuning = {"hyperparameters": does("nothing"), "tune_config": {"metric": "loss", "mode": "min"}}
    params = {"name": "x", "dataset": 1, "is_tune": True, "workers": {"count": 10_000}, **tuning}
    with pytest.raises(Infeasible, match="10000 workers"):
        trialrun.run(
            {"action": "train", "params": params},
            plugin=PLUGINS / "takes_resources.py",
            datasets={1: ROWS},
            results=tmp_path,
        )
