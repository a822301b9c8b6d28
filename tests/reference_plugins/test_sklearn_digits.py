"""The plugin with scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trialrun_hookspecs import BadValue
from trialrun_reference import sklearn_digits

from .fake_run import FakeRun

MakeRun = Callable[..., FakeRun]
Dataset = dict[str, list[dict[str, Any]]]
HYPERPARAMETER = {"epochs": 4, "learning_rate": 0.3, "batch_size": 16}


def weights(folder: str | Path | None) -> dict[str, Any]:
    assert folder is not None
    with np.load(Path(folder) / "weights.npz", allow_pickle=False) as layers:
        return {name: layers[name].tolist() for name in layers.files}


def test_good_hyperparameters_read_nine_of_ten_held_out_digits(make_run: MakeRun, digits_dataset: Dataset) -> None:
    run = make_run()
    sklearn_digits.train(run, digits_dataset, {**HYPERPARAMETER, "epochs": 8}, None)
    accuracies, losses = run.values("validation", "accuracy"), run.values("validation", "loss")
    assert len(accuracies) == len(losses) == len(run.values("train", "loss")) == 8
    assert accuracies[-1] > 0.93
    assert losses[-1] < losses[0] / 2
    assert [m.metrics["epoch"] for m in run.metrics if (m.category, m.key) == ("validation", "loss")] == list(
        range(1, 9)
    )
    assert run.progress[-1] == (8, 8, "train")


def test_the_learning_rate_matters(make_run: MakeRun, digits_dataset: Dataset) -> None:
    def last(rate: float) -> float:
        run = make_run(is_tune=True)
        return float(sklearn_digits.tune({"epochs": 4, "learning_rate": rate}, run, digits_dataset, None)["accuracy"])

    assert last(0.005) < 0.5 < 0.8 < last(0.3)


def test_one_seed_gives_the_same_metrics(make_run: MakeRun, digits_dataset: Dataset) -> None:
    runs = [make_run(is_tune=True, seed=seed) for seed in (5, 5, 6)]
    for run in runs:
        sklearn_digits.tune({**HYPERPARAMETER, "epochs": 2}, run, digits_dataset, None)
    first, same, other = ([report.metrics for report in run.reports] for run in runs)
    assert first == same
    assert first != other


def test_a_resumed_run_ends_where_an_unbroken_one_does(make_run: MakeRun, digits_dataset: Dataset) -> None:
    whole, first, rest = make_run(), make_run(), make_run()
    end = sklearn_digits.train(whole, digits_dataset, HYPERPARAMETER, None)
    half = sklearn_digits.train(first, digits_dataset, {**HYPERPARAMETER, "epochs": 2}, None)
    resumed = sklearn_digits.train(rest, digits_dataset, HYPERPARAMETER, {"id": 9, "name": "half", "path": half})
    assert weights(resumed) == weights(end)
    assert first.values("validation", "loss") + rest.values("validation", "loss") == whole.values("validation", "loss")
    assert [m.metrics["epoch"] for m in rest.metrics] == [3] * 3 + [4] * 3


def test_a_paused_trial_goes_on_from_its_last_report(make_run: MakeRun, digits_dataset: Dataset) -> None:
    whole, paused, again = make_run(is_tune=True), make_run(is_tune=True, stop_after=3), make_run(is_tune=True)
    sklearn_digits.tune(HYPERPARAMETER, whole, digits_dataset, None)
    paused.call(lambda: sklearn_digits.tune(HYPERPARAMETER, paused, digits_dataset, None))
    sklearn_digits.tune(HYPERPARAMETER, again, digits_dataset, {"path": str(paused.reports[-1].checkpoint)})
    metrics = [report.metrics for report in paused.reports + again.reports]
    assert metrics == [report.metrics for report in whole.reports]


def test_every_reported_checkpoint_holds_its_epoch(make_run: MakeRun, digits_dataset: Dataset) -> None:
    run = make_run(is_tune=True)
    returned = sklearn_digits.tune(HYPERPARAMETER, run, digits_dataset, None)
    kept = [
        json.loads((report.checkpoint / "model.json").read_text("utf-8")) for report in run.reports if report.checkpoint
    ]
    assert [about["epoch"] for about in kept] == [1, 2, 3, 4]
    assert [about["metrics"] for about in kept] == [report.metrics for report in run.reports]
    assert returned == run.reports[-1].metrics
    assert weights(run.checkpoint_output) == weights(run.reports[-1].checkpoint)


def test_what_is_left_out_is_taken_from_the_checkpoint(make_run: MakeRun, digits_dataset: Dataset) -> None:
    half = sklearn_digits.train(
        make_run(), digits_dataset, {**HYPERPARAMETER, "hidden": 20, "activation": "tanh"}, None
    )
    more = sklearn_digits.train(make_run(), digits_dataset, {"epochs": 5}, {"path": half})
    about = json.loads((Path(more) / "model.json").read_text("utf-8"))
    assert about["epoch"] == 5
    assert about["hyperparameter"]["hidden"] == 20
    assert about["hyperparameter"]["learning_rate"] == 0.3


def test_another_network_than_the_checkpoints_is_refused(make_run: MakeRun, digits_dataset: Dataset) -> None:
    half = sklearn_digits.train(make_run(), digits_dataset, {**HYPERPARAMETER, "epochs": 1, "hidden": 20}, None)
    with pytest.raises(BadValue, match="hyperparameter 'hidden': is 20 in the checkpoint, got 24"):
        sklearn_digits.train(make_run(), digits_dataset, {**HYPERPARAMETER, "hidden": 24}, {"path": half})


def test_a_checkpoint_that_has_had_all_its_epochs_is_only_evaluated(make_run: MakeRun, digits_dataset: Dataset) -> None:
    done = sklearn_digits.train(make_run(), digits_dataset, HYPERPARAMETER, None)
    run = make_run(is_tune=True)
    sklearn_digits.tune(HYPERPARAMETER, run, digits_dataset, {"path": done})
    assert [report.metrics["epoch"] for report in run.reports] == [4]
    assert weights(run.checkpoint_output) == weights(done)
    assert [context for context, _ in run.messages] == ["warning"]


def test_misread_digits_are_shown(make_run: MakeRun, digits_dataset: Dataset) -> None:
    run = make_run(is_tune=True)
    result = sklearn_digits.tune({**HYPERPARAMETER, "epochs": 2}, run, digits_dataset, None)
    (shown,) = run.visualizations
    held_out = len(digits_dataset["validation"])
    assert shown.meta["misread"] == round((1 - result["accuracy"]) * held_out) > 0
    assert shown.image.dtype == np.uint8
    assert shown.image.ndim == 2
    assert all(label != read for label, read in zip(shown.meta["labels"], shown.meta["read_as"], strict=True))
    json.dumps(shown.meta)


def test_nothing_is_shown_when_nothing_is_misread(make_run: MakeRun, digits_dataset: Dataset) -> None:
    learnt = dict.fromkeys(("train", "validation"), digits_dataset["train"][:30])
    run = make_run()
    sklearn_digits.train(run, learnt, {**HYPERPARAMETER, "epochs": 60}, None)
    assert run.values("validation", "accuracy")[-1] == 1.0
    assert not run.visualizations


def test_images_are_decoded_once_per_process(
    make_run: MakeRun, digits_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {category: rows[:40] for category, rows in digits_dataset.items()}
    sklearn_digits.train(make_run(), few, HYPERPARAMETER, None)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded again"))
    again = {category: [dict(row) for row in rows] for category, rows in few.items()}
    sklearn_digits.train(make_run(), again, HYPERPARAMETER, None)


def test_a_changed_image_is_decoded_again(make_run: MakeRun, digits_dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    one = [{"files": {"image": str(file)}, "data": {"label": 0}}]
    losses = []
    for grey in (0, 255):
        Image.new("L", (8, 8), grey).save(file, compress_level=0 if grey else 9)
        run = make_run()
        sklearn_digits.train(run, {"train": digits_dataset["train"][:50], "validation": one}, HYPERPARAMETER, None)
        losses += run.values("validation", "loss")[-1:]
    assert losses[0] != losses[1]


def test_all_wrong_hyperparameters_are_named_at_once(make_run: MakeRun, digits_dataset: Dataset) -> None:
    wrong = {"learning_rate": "fast", "hidden": 2.5, "alpha": True, "activation": "step", "momentum": 0.9}
    with pytest.raises(BadValue) as caught:
        sklearn_digits.train(make_run(), digits_dataset, wrong, None)
    wheres = {problem.where for problem in caught.value.problems}
    assert wheres == {f"hyperparameter {name!r}" for name in [*wrong, "epochs"]}
    assert "hyperparameter 'epochs': must be a whole number of at least 1, got nothing" in str(caught.value)


def test_whole_floats_are_counts(make_run: MakeRun, digits_dataset: Dataset) -> None:
    result = sklearn_digits.tune(
        {"epochs": 1.0, "learning_rate": 1, "hidden": 8.0}, make_run(is_tune=True), digits_dataset, None
    )
    assert result["epoch"] == 1


def test_a_rate_that_blows_up_says_so(make_run: MakeRun, digits_dataset: Dataset) -> None:
    with pytest.raises(ArithmeticError, match=r"learning_rate=1e\+200"):
        sklearn_digits.train(make_run(), digits_dataset, {"epochs": 3, "learning_rate": 1e200}, None)


@pytest.mark.parametrize("dataset", [None, {}, {"train": []}])
def test_a_dataset_without_rows_is_refused(make_run: MakeRun, dataset: object) -> None:
    with pytest.raises(BadValue, match="dataset category 'train': must have rows"):
        sklearn_digits.train(make_run(), dataset, HYPERPARAMETER, None)


def test_rows_of_another_form_are_refused(make_run: MakeRun, digits_dataset: Dataset, tmp_path: Path) -> None:
    (row, *_) = digits_dataset["train"]
    large = tmp_path / "large.png"
    Image.new("L", (9, 8)).save(large)
    for wrong, message in (
        ({**row, "files": {}}, "every row must have an image"),
        ({**row, "data": {"label": "seven"}}, "labels must be 0 to 9"),
        ({**row, "files": {"image": str(large)}}, "large.png: must be 8x8 pixels, got 9x8"),
    ):
        with pytest.raises(BadValue, match=message):
            sklearn_digits.train(make_run(), {"train": [wrong], "validation": [row]}, HYPERPARAMETER, None)
