"""The scheduler and the callback in a real study of Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trialrun_reference.jsonl_callback import PATH_VARIABLE, trial_callbacks
from trialrun_reference.patience import schedulers


@pytest.mark.ray
def test_trials_without_improvement_stop_and_every_trial_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import tune

    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / "trials.jsonl"))

    def climb(config: dict[str, Any]) -> None:
        for step in range(8):
            tune.report({"score": min(step, config["top"])})

    tuner = tune.Tuner(
        climb,
        param_space={"top": tune.grid_search([1, 100])},
        tune_config=tune.TuneConfig(
            scheduler=schedulers()["patience"](metric="score", mode="max", patience=2),
            max_concurrent_trials=1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), callbacks=list(trial_callbacks()), verbose=0),
    )
    results = tuner.fit()

    metrics = [results[index].metrics or {} for index in range(len(results))]
    assert [last["training_iteration"] for last in metrics] == [4, 8]
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text("utf-8").splitlines()]
    assert sorted((line["config"]["top"], line["status"], line["metrics"]["score"]) for line in lines) == [
        (1, "TERMINATED", 1),
        (100, "TERMINATED", 7),
    ]
