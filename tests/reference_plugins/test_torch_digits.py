"""The plugin with PyTorch, on the CPU, and on a GPU where there is one."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun_hookspecs import BadValue

from .fake_run import FakeRun

torch = pytest.importorskip("torch", reason="needs trialrun[torch]")
pytest.importorskip("safetensors", reason="needs trialrun[torch]")

from trialrun_reference import torch_digits  # noqa: E402  # it needs both

MakeRun = Callable[..., FakeRun]
Dataset = dict[str, list[dict[str, Any]]]
HYPERPARAMETER = {"epochs": 3, "learning_rate": 0.05, "channels": 4}


@pytest.fixture
def few(digits_dataset: Dataset) -> Dataset:
    return {category: rows[:200] for category, rows in digits_dataset.items()}


def weights(folder: str | Path | None) -> dict[str, Any]:
    assert folder is not None
    saved = torch_digits.read_artifact(Path(folder))
    return {name: tensor.tolist() for name, tensor in (saved.weights | saved.momentum).items()}


def test_good_hyperparameters_read_nine_of_ten_held_out_digits(make_run: MakeRun, digits_dataset: Dataset) -> None:
    run = make_run()
    torch_digits.train(run, digits_dataset, HYPERPARAMETER, None)
    accuracies, losses = run.values("validation", "accuracy"), run.values("validation", "loss")
    assert len(accuracies) == len(losses) == len(run.values("train", "loss")) == 3
    assert accuracies[-1] > 0.9
    assert losses[-1] < losses[0] / 2
    assert run.progress[-1] == (3, 3, "train")


def test_one_seed_gives_the_same_metrics_on_a_cpu(make_run: MakeRun, few: Dataset) -> None:
    runs = [make_run(is_tune=True, seed=seed) for seed in (5, 5, 6)]
    for run in runs:
        torch.manual_seed(len(runs))  # what others did to torch's own state does not matter
        torch_digits.tune(HYPERPARAMETER, run, few, None)
    first, same, other = ([report.metrics for report in run.reports] for run in runs)
    assert first == same
    assert first != other


def test_the_seed_of_others_is_left_alone(make_run: MakeRun, few: Dataset) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    torch_digits.train(make_run(), few, {**HYPERPARAMETER, "epochs": 1}, None)
    assert torch.rand(3).tolist() == expected


def test_a_resumed_run_ends_where_an_unbroken_one_does(make_run: MakeRun, few: Dataset) -> None:
    end = torch_digits.train(make_run(), few, HYPERPARAMETER, None)
    half = torch_digits.train(make_run(), few, {**HYPERPARAMETER, "epochs": 1}, None)
    run = make_run()
    resumed = torch_digits.train(run, few, HYPERPARAMETER, {"id": 9, "name": "half", "path": half})
    assert weights(resumed) == weights(end)
    assert [m.metrics["epoch"] for m in run.metrics] == [2] * 3 + [3] * 3


def test_a_paused_trial_goes_on_from_its_last_report(make_run: MakeRun, few: Dataset) -> None:
    whole, paused, again = make_run(is_tune=True), make_run(is_tune=True, stop_after=2), make_run(is_tune=True)
    torch_digits.tune(HYPERPARAMETER, whole, few, None)
    paused.call(lambda: torch_digits.tune(HYPERPARAMETER, paused, few, None))
    torch_digits.tune(HYPERPARAMETER, again, few, {"path": str(paused.reports[-1].checkpoint)})
    metrics = [report.metrics for report in paused.reports + again.reports]
    assert metrics == [report.metrics for report in whole.reports]


def test_a_checkpoint_that_has_had_all_its_epochs_is_only_evaluated(make_run: MakeRun, few: Dataset) -> None:
    done = torch_digits.train(make_run(), few, HYPERPARAMETER, None)
    run = make_run()
    again = torch_digits.train(run, few, HYPERPARAMETER, {"path": done})
    assert weights(again) == weights(done)
    assert run.values("train", "loss") == []
    assert [context for context, _ in run.messages] == ["warning"]


def test_the_artifact_is_safetensors_with_json(make_run: MakeRun, few: Dataset) -> None:
    folder = Path(torch_digits.train(make_run(), few, {**HYPERPARAMETER, "epochs": 1}, None))
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "model.safetensors"]
    about = json.loads((folder / "model.json").read_text())
    assert about["hyperparameter"] == {**HYPERPARAMETER, "epochs": 1, "momentum": 0.9, "batch_size": 32}


def modules() -> int:
    gc.collect()
    return sum(type(thing) is torch.nn.Conv2d for thing in gc.get_objects())


def test_nothing_of_a_trial_is_held_when_it_is_over(make_run: MakeRun, few: Dataset) -> None:
    before = modules()
    torch_digits.tune(HYPERPARAMETER, make_run(is_tune=True), few, None)
    assert modules() == before


def test_nothing_of_a_trial_is_held_by_the_error_that_ended_it(make_run: MakeRun, few: Dataset) -> None:
    before = modules()
    with pytest.raises(ArithmeticError, match="Try a lower one") as caught:
        torch_digits.tune({**HYPERPARAMETER, "learning_rate": 1e30}, make_run(is_tune=True), few, None)
    held = [frame for frame in caught.traceback if "self" in frame.locals]
    assert held  # the frames are still there,
    assert modules() == before  # and the network is not


def test_a_trial_leaves_the_number_of_threads_as_it_was(make_run: MakeRun, few: Dataset) -> None:
    threads = torch.get_num_threads()
    torch_digits.train(make_run(), few, {**HYPERPARAMETER, "epochs": 1}, None)
    assert torch.get_num_threads() == threads


def test_all_wrong_hyperparameters_are_named_at_once(make_run: MakeRun, few: Dataset) -> None:
    wrong = {"learning_rate": "fast", "channels": 2.5, "momentum": 1, "depth": 3}
    with pytest.raises(BadValue) as caught:
        torch_digits.train(make_run(), few, wrong, None)
    wheres = {problem.where for problem in caught.value.problems}
    assert wheres == {f"hyperparameter {name!r}" for name in (*wrong, "epochs")}


def test_another_network_than_the_checkpoints_is_refused(make_run: MakeRun, few: Dataset) -> None:
    done = torch_digits.train(make_run(), few, {**HYPERPARAMETER, "epochs": 1}, None)
    with pytest.raises(BadValue, match="'channels': is 4 in the checkpoint"):
        torch_digits.train(make_run(), few, {**HYPERPARAMETER, "channels": 8}, {"path": done})


@pytest.mark.gpu
def test_on_a_gpu_it_learns_in_mixed_precision_and_gives_the_memory_back(make_run: MakeRun, few: Dataset) -> None:
    run = make_run()
    before = torch.cuda.memory_reserved()
    torch_digits.train(run, few, {**HYPERPARAMETER, "epochs": 8}, None)
    assert run.values("validation", "accuracy")[-1] > 0.8
    assert torch.cuda.max_memory_allocated() > 0
    assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == (0, before)


@pytest.mark.gpu
def test_what_was_trained_on_a_gpu_goes_on_there(make_run: MakeRun, few: Dataset) -> None:
    half = torch_digits.train(make_run(), few, HYPERPARAMETER, None)
    run = make_run()
    torch_digits.train(run, few, {**HYPERPARAMETER, "epochs": 5}, {"path": half})
    assert [m.metrics["epoch"] for m in run.metrics] == [4] * 3 + [5] * 3
