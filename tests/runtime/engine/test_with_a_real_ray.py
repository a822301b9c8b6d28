"""Whole runs in processes of their own: Ctrl-C, and a Ray that runs already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Recorder

PLUGINS = Path(__file__).parents[2] / "broken_plugins"
LIMIT_S = 90


def command(folder: Path, plugin: str, space: list[dict[str, Any]], *options: str, **config: Any) -> list[str]:
    job = {
        "action": "train",
        "params": {
            "name": "process",
            "dataset": 1,
            "is_tune": True,
            "num_cpus": 0.5,
            "hyperparameters": space,
            "tune_config": {"metric": "loss", "mode": "min", **config},
        },
    }
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "line.csv").write_text("x,y\n1,2\n2,4\n")
    head = [sys.executable, "-m", "trialrun", "run", str(folder / "job.json"), "--plugin", str(PLUGINS / plugin)]
    return [*head, "--dataset", f"1={folder / 'line.csv'}", "--results", str(folder / "results"), *options]


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.ray(session=False)
def test_ctrl_c_stops_trials_cleanly_and_is_no_success(tmp_path: Path) -> None:
    space = [{"name": "n", "type": "grid_search", "options": [1, 2, 3]}]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    process = subprocess.Popen(
        command(tmp_path, "slow_steps.py", space, max_concurrent_trials=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    folder = tmp_path / "results" / "process-1"
    spool = folder / "spool" / "driver.0.jsonl"
    wait_for(lambda: spool.exists() and spool.read_text().count("trial_result") > 2, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted" in said
    with Recorder.open(folder / "recorder.sqlite") as recorder:
        assert recorder.job(1)["status"] == "STOPPED"
        assert recorder.events("message")[-1]["data"]["content"] == "the run is complete"
        assert len(recorder.events("trial_result")) > 2
    assert json.loads((folder / "result.json").read_text())["status"] == "STOPPED"


@pytest.mark.ray
def test_a_running_ray_is_joined_by_its_address_and_left_running(tmp_path: Path) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    space = [{"name": "n", "type": "grid_search", "options": [1, 2]}]
    options = ["--address", address, "--json"]
    done = subprocess.run(
        command(tmp_path, "leaky.py", space, *options, max_concurrent_trials=1),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["best_trial"]["metrics"]["rows"] == 2
    assert ray.get(ray.put(1)) == 1, "the one that was there still works"


@pytest.mark.ray(session=False)
def test_an_address_without_a_ray_is_a_usage_error(tmp_path: Path) -> None:
    space = [{"name": "n", "type": "grid_search", "options": [1]}]
    done = subprocess.run(
        command(tmp_path, "leaky.py", space, "--address", "127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s": "5"},
    )
    assert done.returncode == 2, done.stderr
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
