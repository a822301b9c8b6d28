"""A plugin's callback that raises affects only itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.executors.ray_tune.callback import IsolatedCallback

ROWS = [{"category": "train", "data": {"x": [float(x)], "y": 2.0 * x}} for x in range(4)]


class Raises:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_trial_start(self, **info: Any) -> None:
        self.heard.append("start")

    def on_trial_result(self, **info: Any) -> None:
        self.heard.append("result")
        raise RuntimeError("not today")


def test_a_callback_that_raises_hears_no_more() -> None:
    said: list[str] = []
    inner = Raises()
    isolated = IsolatedCallback(inner, said.append)
    trial: Any = object()
    isolated.on_trial_start(1, [], trial)
    isolated.on_trial_result(1, [], trial, {})
    isolated.on_trial_result(2, [], trial, {})
    isolated.on_trial_start(3, [], trial)
    assert inner.heard == ["start", "result"]
    (text,) = said
    assert "Raises.on_trial_result raised and is switched off" in text
    assert "not today" in text


@pytest.mark.ray
def test_a_callback_that_raises_is_told_and_switched_off(tmp_path: Path) -> None:
    (tmp_path / "calls.py").write_text(
        "from ray.tune import Callback\n"
        "class Raises(Callback):\n"
        "    def on_trial_result(self, iteration, trials, trial, result, **info):\n"
        "        raise RuntimeError('not today')\n"
        "def trial_callbacks():\n"
        "    return [Raises()]\n"
    )
    space = [
        {"name": "epochs", "type": "constant", "value": 2},
        {"name": "learning_rate", "type": "grid_search", "options": [0.1, 0.2]},
    ]
    params = {"name": "called", "dataset": 1, "is_tune": True, "num_cpus": 0.5, "hyperparameters": space}
    config = {"metric": "loss", "mode": "min", "max_concurrent_trials": 1}
    job = {"action": "train", "params": {**params, "tune_config": config}}
    result = trialrun.run(
        job, plugin="pure", plugins=[tmp_path / "calls.py"], datasets={1: ROWS}, results=tmp_path / "results"
    )
    assert len(result.trial_models) == 2
    (warning,) = result.warnings
    assert "Raises.on_trial_result raised and is switched off" in warning
