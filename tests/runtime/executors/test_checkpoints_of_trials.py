"""Checkpoints: when they are written, which are kept, and a trial that begins from another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

import trialrun
from trialrun.plugins import load_plugin
from trialrun.run_dir.checkpoints import find_checkpoint, list_checkpoints
from trialrun_hookspecs.errors import RequestInvalid, UsageError

from .conftest import BOTH, ROWS, Study

Tuned = Callable[..., Study]

PLUGINS = Path(__file__).parents[2] / "broken_plugins"
STEPS = str(PLUGINS / "steps_class.py")
SPACE = [{"name": "lr", "type": "choice", "options": [0.5]}]


def folder_of(study: Study) -> Path:
    (folder,) = (study.folder / "trials").iterdir()
    return folder


def state_of(path: str | Path) -> int:
    return int(json.loads(Path(path, "state.json").read_text())["done"])


def job(**params: Any) -> dict[str, Any]:
    config = {"metric": "loss", "mode": "min", **params.pop("tune_config", {})}
    return {
        "action": "train",
        "params": {
            "name": "again",
            "dataset": 1,
            "is_tune": True,
            "hyperparameters": SPACE,
            "tune_config": config,
            **params,
        },
    }


@pytest.mark.parametrize("executor", BOTH)
def test_a_class_that_makes_steps_is_a_plugin(tuned: Tuned, executor: str) -> None:
    study = tuned(STEPS, SPACE, executor=executor, checkpoints={"every": 2})
    assert [(r["loss"], r["rows"]) for r in study.results_of(0.5)] == [(0.5 * abs(n - 3) + 0.1, 4) for n in range(1, 7)]
    assert [record.iteration for record in list_checkpoints(folder_of(study))] == [2, 4, 6]
    assert state_of(folder_of(study) / "artifact") == 6
    assert (folder_of(study) / "cleaned").exists()
    assert [model.metrics["loss"] for model in study.result.trial_models] == [1.6]


@pytest.mark.parametrize("executor", BOTH)
def test_the_best_checkpoints_and_the_newest_are_kept(tuned: Tuned, executor: str) -> None:
    study = tuned(STEPS, SPACE, executor=executor, checkpoints={"keep": 2, "every": 1, "at_end": False})
    states = [state_of(record.path) for record in list_checkpoints(folder_of(study))]
    assert 3 in states, "the best"
    assert 6 in states, "the newest"
    assert len(states) <= 3


@pytest.mark.parametrize("executor", BOTH)
def test_a_trial_that_is_stopped_saves_at_its_end(tuned: Tuned, executor: str) -> None:
    study = tuned(STEPS, SPACE, executor=executor, stop={"training_iteration": 4})
    assert state_of(folder_of(study) / "artifact") == 4
    assert len(study.result.trial_models) == 1


@pytest.mark.parametrize("executor", BOTH)
def test_a_trial_begins_where_another_one_was(tuned: Tuned, executor: Literal["ray", "inline"], tmp_path: Path) -> None:
    before = tuned(STEPS, SPACE, executor=executor, checkpoints={"every": 2}, stop={"training_iteration": 5})
    second = Study(
        trialrun.run(
            job(tune_config={"stop": {"training_iteration": 5}}),
            plugin=STEPS,
            datasets={1: ROWS},
            executor=executor,
            results=tmp_path / "again",
            restore=folder_of(before),
        )
    )
    with second.recorder:
        heard = [(e["data"]["iteration"], e["data"]["metrics"]["loss"]) for e in second.recorder.events("trial_result")]
    assert heard == [(5, 1.1)]  # the fourth was saved; reports are counted on, as `stop` counts them
    (model,) = second.result.trial_models
    assert model.metrics["loss"] == 1.1


def test_training_begins_where_a_trial_was(tuned: Tuned, tmp_path: Path) -> None:
    before = tuned(STEPS, SPACE, executor="inline", checkpoints={"every": 2})
    given = {"action": "train", "params": {"name": "again", "dataset": 1, "hyperparameter": {"lr": 0.5, "until": 8}}}
    checkpoint = list_checkpoints(folder_of(before))[1].path
    done = trialrun.run(given, plugin=STEPS, datasets={1: ROWS}, results=tmp_path / "again", restore=checkpoint)
    assert state_of(Path(done.results_dir) / "train" / "artifact") == 8
    study = Study(done)
    with study.recorder:
        losses = [m["value"] for m in study.recorder.metrics() if m["key"] == "loss"]
    assert len(losses) == 4, "from the fifth step to the eighth"


def test_what_cannot_be_restored_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "config.json").write_text("{}")
    for path, said in ((tmp_path / "nowhere", "there must be"), (tmp_path / "trial", "has no checkpoint")):
        with pytest.raises(UsageError, match=said):
            trialrun.run(
                job(), plugin=STEPS, datasets={1: ROWS}, executor="inline", results=tmp_path / "r", restore=path
            )
    assert not (tmp_path / "r").exists()
    (tmp_path / "trial" / "checkpoint_000001").mkdir()
    (tmp_path / "trial" / "checkpoint_000001" / "state").touch()
    assert find_checkpoint(tmp_path / "trial" / "checkpoint_000001").iteration == 0


def test_another_metric_needs_a_direction() -> None:
    with pytest.raises(RequestInvalid, match=r"checkpoints.mode: is required with a metric that is not the objective"):
        trialrun.run(job(tune_config={"checkpoints": {"keep": 1, "by": "accuracy"}}), plugin=STEPS)


def test_a_class_is_known_by_its_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))
    plugin = load_plugin("steps_class:Steps", need_train=True)
    assert plugin.has_save_options
    assert plugin.hooks.keys() == {"train", "tune"}


@pytest.mark.parametrize("executor", BOTH)
def test_a_subclass_of_rays_own_trainable_runs(tuned: Tuned, executor: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        "from ray import tune as ray_tune\n"
        "class Theirs(ray_tune.Trainable):\n"
        "    def setup(self, config):\n"
        "        self.lr = config['lr']\n"
        "    def step(self):\n"
        "        return {'loss': self.lr, 'at': self.iteration, 'done': self.iteration >= 2}\n"
        "    def save_checkpoint(self, checkpoint_dir):\n"
        "        return {'lr': self.lr}\n"
        "    def load_checkpoint(self, checkpoint):\n"
        "        self.lr = checkpoint['lr']\n"
        "tune = Theirs\n"
    )
    study = tuned(str(tmp_path / "theirs.py"), SPACE, executor=executor)
    assert [result["at"] for result in study.results_of(0.5)] == [0, 1, 2]
    assert json.loads((folder_of(study) / "artifact" / "returned.json").read_text()) == {"lr": 0.5}
