"""The fixtures that authors of plugins use in tests of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.fixtures import FaultyRecorder, Trainer, Tuner
from trialrun_hookspecs import Run, TrainingFailed, UsageError

PURE = "trialrun_reference.pure"


def test_training_is_recorded(trialrun_train: Trainer, trialrun_recorder: FaultyRecorder) -> None:
    result = trialrun_train(PURE, epochs=2, learning_rate=0.1)
    assert result.status == "SUCCEEDED"
    assert [metric["metrics"]["epoch"] for metric in trialrun_recorder.metrics()] == [1, 2]
    (model,) = trialrun_recorder.models()
    assert model["id"] == result.model_id


def test_training_resumes(trialrun_train: Trainer, trialrun_recorder: FaultyRecorder) -> None:
    first = trialrun_train(PURE, epochs=2, learning_rate=0.1)
    second = trialrun_train.resuming(first)(PURE, epochs=4, learning_rate=0.1)
    epochs = [metric["metrics"]["epoch"] for metric in trialrun_recorder.metrics(job_id=second.job_id)]
    assert epochs == [3, 4]


def test_a_result_without_a_model_cannot_be_resumed(trialrun_train: Trainer) -> None:
    first = trialrun_train(PURE, epochs=1, learning_rate=0.1).model_copy(update={"model_id": None})
    with pytest.raises(UsageError, match="must be a result with a model"):
        trialrun_train.resuming(first)


def test_a_function_is_a_plugin(trialrun_train: Trainer, trialrun_dataset: Any) -> None:
    seen = []

    def learns(run: Run, dataset: Any, hyperparameter: dict[str, Any], checkpoint: None, **kwargs: Any) -> Path:
        seen.append((dataset, hyperparameter))
        path = Path(run.checkpoint_output)
        path.write_text("model", "utf-8")
        return path

    trialrun_train(learns, rate=0.5)
    ((dataset, hyperparameter),) = seen
    assert hyperparameter == {"rate": 0.5}
    assert sum(map(len, dataset.values())) == len(trialrun_dataset)


def test_what_a_plugin_raises_arrives(trialrun_train: Trainer) -> None:
    with pytest.raises(TrainingFailed) as failed:
        trialrun_train(PURE, epochs="many", learning_rate=0.1)
    assert isinstance(failed.value.__cause__, ValueError)


def test_tuning_tries_every_value(trialrun_tune: Tuner, trialrun_recorder: FaultyRecorder) -> None:
    space: dict[str, list[Any]] = {"epochs": [1, 3], "learning_rate": [0.1]}
    result = trialrun_tune(PURE, space)
    assert result.best_trial is not None
    assert result.best_trial.config == {"epochs": 3, "learning_rate": 0.1}
    table = trialrun_recorder.last_table()
    assert table is not None
    assert len(table["trials"]) == 2
    assert len(trialrun_recorder.metrics(trial_id=result.best_trial.trial_id)) == 3


def test_tuning_takes_distributions(trialrun_tune: Tuner) -> None:
    space = [
        {"name": "epochs", "type": "randint", "min": 1, "max": 3},
        {"name": "learning_rate", "type": "uniform", "min": 0.1, "max": 0.2},
    ]
    result = trialrun_tune(PURE, space, metric="loss", mode="min", num_samples=3)
    assert len(result.trial_models) == 3


def test_a_run_reports_at_once(trialrun_run: Run, trialrun_recorder: FaultyRecorder) -> None:
    trialrun_run.log_metric("training", "loss", 0.5, epoch=1)
    trialrun_run.log_message("hello", "success")
    trialrun_run.set_progress(1, 2, "train")
    assert [metric["value"] for metric in trialrun_recorder.metrics()] == [0.5]
    assert [message["content"] for message in trialrun_recorder.messages()] == ["hello"]
    assert trialrun_recorder.progress(trialrun_run.job_id)
    assert isinstance(trialrun_run, Run)


@pytest.mark.parametrize("kind", ["unavailable", "timeout", "drop", "refuse", "busy"])
def test_faults_lose_and_double_nothing(trialrun_train: Trainer, trialrun_recorder: FaultyRecorder, kind: Any) -> None:
    trialrun_recorder.fail(kind, first=2, last=5)
    trialrun_train(PURE, epochs=2, learning_rate=0.1)
    assert {number for number, _ in trialrun_recorder.struck} == {2, 3, 4, 5}
    assert [metric["metrics"]["epoch"] for metric in trialrun_recorder.metrics()] == [1, 2]


def test_a_run_does_not_wait_for_a_backend_that_is_away(
    trialrun_recorder: FaultyRecorder, request: pytest.FixtureRequest
) -> None:
    trialrun_recorder.fail("unavailable", last=3)
    run: Run = request.getfixturevalue("trialrun_run")
    run.log_metric("training", "loss", 0.5)
    assert trialrun_recorder.settle()
    assert len(trialrun_recorder.metrics()) == 1


def test_healing_ends_the_faults(trialrun_train: Trainer, trialrun_recorder: FaultyRecorder) -> None:
    trialrun_recorder.fail("refuse")
    trialrun_recorder.heal()
    trialrun_train(PURE, epochs=1, learning_rate=0.1)
    assert not trialrun_recorder.struck


class TestWithADatasetOfItsOwn:
    @pytest.fixture
    def trialrun_dataset(self) -> Any:
        return [{"category": "train", "data": {"x": [float(i)], "y": 3.0 * i}} for i in range(-2, 3)]

    def test_a_dataset_is_overridden(self, trialrun_train: Trainer, trialrun_recorder: FaultyRecorder) -> None:
        trialrun_train(PURE, epochs=40, learning_rate=0.1)
        assert trialrun_recorder.metrics()[-1]["value"] < 0.01
