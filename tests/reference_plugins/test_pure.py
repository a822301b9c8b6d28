"""The tutorial plugin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun_hookspecs import Run
from trialrun_reference import pure

from .fake_run import FakeRun

MakeRun = Callable[..., FakeRun]
HYPERPARAMETER = {"epochs": 10, "learning_rate": 0.5}


def read(artifact: str | Path | None) -> dict[str, Any]:
    assert artifact is not None
    model: dict[str, Any] = json.loads((Path(artifact) / "model.json").read_text(encoding="utf-8"))
    return model


def test_the_fake_is_a_run(make_run: MakeRun) -> None:
    assert isinstance(make_run(), Run)


def test_the_tutorial_fits_on_a_page() -> None:
    assert len(Path(pure.__file__).read_text(encoding="utf-8").splitlines()) <= 80


def test_without_rows_it_learns_the_line(make_run: MakeRun) -> None:
    run = make_run()
    model = read(pure.train(run, {}, {"epochs": 200, "learning_rate": 0.5}, None))
    assert model["weights"] == pytest.approx([2.0])
    assert model["bias"] == pytest.approx(1.0)


def test_loss_falls_at_every_epoch(make_run: MakeRun) -> None:
    run = make_run()
    pure.train(run, {}, HYPERPARAMETER, None)
    losses = run.values("train", "loss")
    assert len(losses) == 10
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 10


def test_it_learns_from_rows_with_several_inputs(make_run: MakeRun) -> None:
    rows = [{"data": {"x": [a, b], "y": 3 * a - b + 0.5}, "files": {}} for a in (-1, 0, 1) for b in (-1, 0, 1)]
    model = read(pure.train(make_run(), {"train": rows}, {"epochs": 500, "learning_rate": 0.3}, None))
    assert [*model["weights"], model["bias"]] == pytest.approx([3.0, -1.0, 0.5])


def test_inputs_may_be_single_numbers_written_as_text(make_run: MakeRun) -> None:
    rows = [{"data": {"x": str(x), "y": str(4 * x)}, "files": {}} for x in (-1, 0, 1)]
    model = read(pure.train(make_run(), {"train": rows}, {"epochs": 500, "learning_rate": 0.3}, None))
    assert [*model["weights"], model["bias"]] == pytest.approx([4.0, 0.0], abs=1e-6)


def test_l2_shrinks_the_weights(make_run: MakeRun) -> None:
    free, held = (
        read(pure.train(make_run(), {}, {"epochs": 100, "learning_rate": 0.3, "l2": l2}, None)) for l2 in (0, 1)
    )
    assert abs(held["weights"][0]) < abs(free["weights"][0])


@given(first=st.integers(1, 9))
def test_a_resumed_run_ends_where_an_unbroken_one_does(first: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("resume")
    whole = pure.train(FakeRun(folder=folder / "whole"), {}, HYPERPARAMETER, None)
    half = pure.train(FakeRun(folder=folder / "half"), {}, {**HYPERPARAMETER, "epochs": first}, None)
    resumed = FakeRun(folder=folder / "resumed")
    rest = pure.train(resumed, {}, HYPERPARAMETER, {"id": 3, "path": half})
    assert read(rest) == read(whole)
    assert len(resumed.values("train", "loss")) == 10 - first


def test_a_trial_reports_a_result_and_a_checkpoint_per_epoch(make_run: MakeRun) -> None:
    run = make_run(is_tune=True)
    pure.tune(HYPERPARAMETER, run, {}, None)
    assert [report.metrics["epoch"] for report in run.reports] == list(range(1, 11))
    assert [read(report.checkpoint)["loss"] for report in run.reports] == [r.metrics["loss"] for r in run.reports]
    assert run.declared
    assert read(run.checkpoint_output)["epoch"] == 10


def test_a_paused_trial_goes_on_from_its_last_report(make_run: MakeRun) -> None:
    whole, paused, again = make_run(is_tune=True), make_run(is_tune=True, stop_after=4), make_run(is_tune=True)
    pure.tune(HYPERPARAMETER, whole, {}, None)
    paused.call(lambda: pure.tune(HYPERPARAMETER, paused, {}, None))
    pure.tune(HYPERPARAMETER, again, {}, {"path": paused.reports[-1].checkpoint})
    metrics = [report.metrics for report in paused.reports + again.reports]
    assert metrics == [report.metrics for report in whole.reports]


def test_a_checkpoint_that_has_had_all_its_epochs_is_reported_once(make_run: MakeRun) -> None:
    done = pure.train(make_run(), {}, HYPERPARAMETER, None)
    run = make_run(is_tune=True)
    pure.tune({**HYPERPARAMETER, "epochs": 3}, run, {}, {"path": done})
    assert [report.metrics["epoch"] for report in run.reports] == [10]


def test_progress_ends_at_its_total(make_run: MakeRun) -> None:
    run = make_run()
    pure.train(run, {}, HYPERPARAMETER, None)
    assert run.progress[-1] == (10, 10, "train")


@pytest.mark.parametrize("name", ["epochs", "learning_rate", "l2"])
@pytest.mark.parametrize("value", ["fast", True, None, -1, float("nan"), float("inf"), [1]])
def test_a_wrong_hyperparameter_is_named(make_run: MakeRun, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"hyperparameter '{name}' must be a finite number"):
        pure.train(make_run(), {}, {**HYPERPARAMETER, name: value}, None)


@pytest.mark.parametrize("name", ["epochs", "learning_rate"])
def test_a_missing_hyperparameter_is_named(make_run: MakeRun, name: str) -> None:
    given = {key: value for key, value in HYPERPARAMETER.items() if key != name}
    with pytest.raises(ValueError, match=f"hyperparameter '{name}'"):
        pure.tune(given, make_run(is_tune=True), {}, None)
