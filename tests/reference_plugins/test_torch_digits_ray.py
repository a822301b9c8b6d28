"""The network of torch_digits, trained by workers of Ray Train inside a trial."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

import trialrun
from trialrun.recorder import Recorder
from trialrun_hookspecs import BadValue
from trialrun_reference.digits import generate_digit_rows

from .fake_run import FakeRun

pytest.importorskip("torch", reason="needs trialrun[torch]")
pytest.importorskip("safetensors", reason="needs trialrun[torch]")

from trialrun_reference import torch_digits, torch_digits_ray  # they need both

SPACE = [
    {"name": "learning_rate", "type": "choice", "options": [0.05]},
    {"name": "epochs", "type": "choice", "options": [2]},
    {"name": "channels", "type": "choice", "options": [2]},
]


@pytest.mark.ray
@pytest.mark.timeout(500)  # four processes load torch
def test_two_workers_train_one_trial_and_report_to_the_study(tmp_path: Path) -> None:
    tuning = {"hyperparameters": SPACE, "tune_config": {"metric": "loss", "mode": "min", "seed": 1}}
    params = {"name": "two", "dataset": 1, "is_tune": True, "num_cpus": 0.1, **tuning}
    result = trialrun.run(
        {"action": "train", "params": params},
        plugin="trialrun_reference.torch_digits_ray",
        datasets={1: list(islice(generate_digit_rows(), 100))},
        results=tmp_path,
    )
    (model,) = result.trial_models
    folder = Path(result.results_dir)
    with Recorder.open(folder / "recorder.sqlite") as recorder:
        reports = [event["data"]["metrics"] for event in recorder.events("trial_result")]
    assert [(report["epoch"], report["workers"]) for report in reports] == [(1, 2), (2, 2)]
    saved = torch_digits.read_artifact(folder / "trials" / model.trial_id / "artifact")
    assert (saved.epoch, saved.settings["channels"]) == (2, 2)


@pytest.mark.parametrize("workers", [0, 1.5, "two"])
def test_a_number_of_workers_that_is_none_is_refused(make_run: Callable[..., FakeRun], workers: object) -> None:
    with pytest.raises(BadValue, match="'workers': must be a whole number of at least 1"):
        torch_digits_ray.tune({"workers": workers}, make_run(is_tune=True), {}, None)
