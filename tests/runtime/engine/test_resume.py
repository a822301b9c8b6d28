"""An interrupted run resumes: ended trials stay, interrupted ones continue, and each step is recorded once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.recorder import Recorder
from trialrun.run_dir.checkpoints import list_checkpoints
from trialrun.run_dir.lock import run_lock
from trialrun.run_dir.record import read_record
from trialrun_hookspecs import JobInterrupted, UsageError, hookimpl

PLUGIN = Path(__file__).parents[2] / "broken_plugins" / "cut_off.py"
ROWS = [{"category": "train", "data": {"x": 1.0}}]
STEPS = 6
LIMIT_S = 120


def choice(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "type": "choice", "options": [value]}


GRID = {"name": "x", "type": "grid_search", "options": [0.1, 0.2, 0.3]}  # drawn alike by both executors


def tuning(die: str = "no 0 0", every: int = 2, x: Any = None, **config: Any) -> dict[str, Any]:
    drawn = x or {"name": "x", "type": "uniform", "min": 0, "max": 1}
    space = [drawn, choice("die", die), choice("every", every)]
    tune_config = {"metric": "loss", "mode": "min", "num_samples": 3, "seed": 5, **config}
    params = {"name": "cut", "dataset": 1, "is_tune": True, "num_cpus": 1, "hyperparameters": space}
    return {"action": "train", "params": {**params, "tune_config": tune_config}}


def training(die: str = "no 0 0") -> dict[str, Any]:
    hyperparameter = {"x": 0.5, "die": die, "every": 2}
    return {"action": "train", "params": {"name": "cut", "dataset": 1, "hyperparameter": hyperparameter}}


def in_a_process(folder: Path, job: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "line.csv").write_text("x,y\n1,2\n2,4\n")
    head = [sys.executable, "-m", "trialrun", "run", str(folder / "job.json"), "--plugin", str(PLUGIN)]
    rest = ["--dataset", f"1={folder / 'line.csv'}", "--results", str(folder / "results"), *options]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return subprocess.run([*head, *rest], capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)


@contextmanager
def recorded(folder: Path) -> Iterator[Recorder]:
    with Recorder.open(folder / "recorder.sqlite") as recorder:
        yield recorder


def content(folder: Path) -> dict[str, Any]:
    """Return what the recorder shows, by the trials' values in the place of their ids."""
    with recorded(folder) as recorder:
        table = recorder.last_table(1) or {"trials": {}, "best_trial": "", "hyperparameters": []}
        names = {trial: str(row["hyperparameters"][0]) for trial, row in table["trials"].items()} | {None: "training"}
        steps = sorted((names[m["trial_id"]], m["key"], m["value"]) for m in recorder.metrics())
        results = [entry["data"] for entry in recorder.events("trial_result")]
        return {
            "steps": steps,
            "results": sorted((names[r["trial_id"]], r["iteration"], r["metrics"]["loss"]) for r in results),
            "models": len(recorder.models()),
            "statuses": sorted(row["base"][1] for row in table["trials"].values()),
            "best": names.get(table["best_trial"]),
            "status": recorder.job(1)["status"],
        }


def undisturbed(folder: Path, **config: Any) -> dict[str, Any]:
    trialrun.run(tuning(**config), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=folder)
    return content(folder / "cut-1")


@pytest.mark.parametrize(
    ("die", "every", "algorithm"),
    [
        ("driver 0 0", 2, "basicvariantgenerator"),
        ("driver 0 3", 2, "basicvariantgenerator"),
        ("driver 1 5", 4, "basicvariantgenerator"),
        ("driver 2 4", 100, "basicvariantgenerator"),
        ("driver 1 2", 1, "optunasearch"),
    ],
)
def test_a_killed_study_goes_on_to_the_same_end(tmp_path: Path, die: str, every: int, algorithm: str) -> None:
    job = tuning(die, every, search_alg=algorithm)
    done = in_a_process(tmp_path, job, "--executor", "inline")
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "results" / "cut-1"
    result = trialrun.resume(folder)
    assert len(result.trial_models) == 3
    seen = content(folder)
    if algorithm == "basicvariantgenerator":  # an algorithm that learns gets the same trials, and may suggest others
        assert seen == undisturbed(tmp_path / "other", every=every)
    assert (seen["models"], seen["status"], seen["statuses"]) == (3, "SUCCEEDED", ["TERMINATED"] * 3)
    assert len(seen["steps"]) == len(set(seen["steps"])) == len(seen["results"]) == 3 * STEPS


def test_a_cut_trial_goes_on_from_its_newest_complete_checkpoint(tmp_path: Path) -> None:
    in_a_process(tmp_path, tuning("driver 0 4"), "--executor", "inline")
    folder = tmp_path / "results" / "cut-1"
    (only,) = (folder / "trials").iterdir()
    newest = list_checkpoints(only)[-1]
    assert newest.iteration == 4
    half = Path(newest.path).with_name("checkpoint_000099")  # it was being written: nothing says that it is complete
    half.mkdir()
    trialrun.resume(folder)
    with recorded(folder) as recorder:
        begun = [m["content"] for m in recorder.messages() if m["content"].startswith("begins at")]
    assert begun == ["begins at step 0", "begins at step 4", "begins at step 0", "begins at step 0"]


def test_what_is_over_is_not_done_again(tmp_path: Path) -> None:
    in_a_process(tmp_path, tuning("driver 2 1"), "--executor", "inline")
    folder = tmp_path / "results" / "cut-1"
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("trials/*_0000[01]/model*")}
    with recorded(folder) as recorder:
        models = [model["id"] for model in recorder.models()]
    result = trialrun.resume(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("trials/*_0000[01]/model*")} == before
    with recorded(folder) as recorder:
        ids = [model["id"] for model in recorder.models()]
    assert ids[: len(models)] == models
    assert len(ids) == len({model.trial_id for model in result.trial_models}) == 3


def test_a_complete_run_stays_as_it_is(tmp_path: Path) -> None:
    first = trialrun.run(tuning(), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=tmp_path)
    folder = Path(first.results_dir)
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name not in ("lock", "recorder.sqlite")
    }
    assert trialrun.resume(folder) == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


class Failing:
    """Fails in every trial but one until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.called = 0

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> None:
        raise AssertionError("training has no business here")

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any = None) -> float:
        self.called += 1
        if self.called > 1 and not self.mended:
            raise ValueError("not yet")
        return float(hyperparameter["x"])


def test_failed_trials_are_tried_again_only_when_asked(tmp_path: Path) -> None:
    plugin = Failing()
    first = trialrun.run(tuning(mode="max"), plugin=plugin, datasets={1: ROWS}, executor="inline", results=tmp_path)
    failed = {failure.trial_id for failure in first.failures if failure.status == "ERROR"}
    assert len(failed) == 2
    plugin.mended = True
    assert trialrun.resume(first.results_dir, plugin=plugin, datasets={1: ROWS}) == first
    again = trialrun.resume(first.results_dir, plugin=plugin, datasets={1: ROWS}, failed=True)
    assert plugin.called == 3 + 2
    assert [failure for failure in again.failures if failure.status == "ERROR"] == []
    assert again.best_trial != first.best_trial, "another of them is better"
    with recorded(Path(first.results_dir)) as recorder:
        best = [registered["trial_id"] for registered in recorder.best_trials()]
    assert best == [run.best_trial.trial_id for run in (first, again) if run.best_trial]


def test_what_was_handed_over_as_an_object_must_be_given_again(tmp_path: Path) -> None:
    plugin = Failing()
    with pytest.raises(JobInterrupted):
        trialrun.run(tuning(), plugin=Interrupted(), datasets={1: ROWS}, executor="inline", results=tmp_path)
    with pytest.raises(UsageError, match=r"the plugin was handed over as a live object.*--plugin"):
        trialrun.resume(tmp_path / "cut-1")
    with pytest.raises(UsageError, match=r"the dataset 1=… was handed over"):
        trialrun.resume(tmp_path / "cut-1", plugin=plugin)


class Interrupted(Failing):
    """Ctrl-C comes in its second trial."""

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any = None) -> float:
        self.called += 1
        if self.called == 2:
            raise KeyboardInterrupt
        return float(hyperparameter["x"])


def test_an_interrupted_study_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    plugin = Interrupted()
    with pytest.raises(JobInterrupted) as caught:
        trialrun.run(tuning(), plugin=plugin, datasets={1: ROWS}, executor="inline", results=tmp_path)
    folder = tmp_path / "cut-1"
    assert f"trialrun resume {folder}" in str(caught.value)
    with recorded(folder) as recorder:
        assert recorder.job(1)["status"] == "STOPPED"
    result = trialrun.resume(folder, plugin=plugin, datasets={1: ROWS})
    assert plugin.called == 4
    assert result.status == "SUCCEEDED"
    assert content(folder)["statuses"] == ["TERMINATED"] * 3


def test_a_study_that_begins_from_a_model_goes_on(tmp_path: Path) -> None:
    job = tuning()
    job["params"]["checkpoint"] = 5
    (tmp_path / "model").write_text("weights")
    plugin = Interrupted()
    served: dict[str, Any] = {"datasets": {1: ROWS}, "checkpoints": {5: tmp_path / "model"}}
    with pytest.raises(JobInterrupted):
        trialrun.run(job, plugin=plugin, executor="inline", results=tmp_path, **served)
    assert trialrun.resume(tmp_path / "cut-1", plugin=plugin, **served).status == "SUCCEEDED"


def test_training_goes_on_from_its_newest_complete_checkpoint(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, training("driver 0 3"))
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "results" / "cut-1"
    result = trialrun.resume(folder)
    assert result.model_id is not None
    seen = content(folder)
    assert [value for _, key, value in seen["steps"] if key == "step" and value == int(value)]
    assert seen["models"] == 1
    with recorded(folder) as recorder:
        steps = [m["value"] for m in recorder.metrics() if m["category"] == "steps"]
        begun = [m["content"] for m in recorder.messages() if m["content"].startswith("begins at")]
    assert steps == [0, 1, 2, 3, 4, 5]
    assert begun == ["begins at step 0", "begins at step 2"]


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    result = trialrun.run(tuning(), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=tmp_path)
    with (
        run_lock(Path(result.results_dir)),
        pytest.raises(UsageError, match=rf"is in use by a run, got process {os.getpid()}"),
    ):
        trialrun.resume(result.results_dir)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"job_id": 1}'])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"must be the (results folder|record) of a run"):
        trialrun.resume(tmp_path)


def test_the_record_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALRUN_ACCESS_TOKEN", "s3cret-of-the-platform")
    result = trialrun.run(tuning(), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=tmp_path)
    folder = Path(result.results_dir)
    assert read_record(folder).plugin == {"kind": "path", "spec": str(PLUGIN), "name": "cut_off", "root": ""}
    left = [path for path in folder.rglob("*") if path.is_file() and b"s3cret-of-the-platform" in path.read_bytes()]
    assert left == []


def test_time_that_was_used_counts_against_the_budget(tmp_path: Path) -> None:
    in_a_process(tmp_path, tuning("driver 1 2", time_budget_s=0.001), "--executor", "inline")
    folder = tmp_path / "results" / "cut-1"
    result = trialrun.resume(folder)
    assert result.ended_by.startswith("time_budget_s")


@pytest.mark.ray(session=False)
def test_a_driver_killed_on_ray_goes_on_to_the_same_end(tmp_path: Path) -> None:
    job = tuning("driver 1 3", max_concurrent_trials=2, x=GRID, num_samples=1)
    done = in_a_process(tmp_path, job)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "results" / "cut-1"
    again = subprocess.run(
        [sys.executable, "-m", "trialrun", "resume", str(folder), "--json"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert content(folder) == undisturbed(tmp_path / "other", x=GRID, num_samples=1)


@pytest.mark.ray
def test_a_killed_worker_is_told_and_its_trial_goes_on_when_asked(tmp_path: Path) -> None:
    job = tuning("self 1 3", max_concurrent_trials=2, x=GRID, num_samples=1)
    first = trialrun.run(job, plugin=PLUGIN, datasets={1: ROWS}, results=tmp_path)
    (failure,) = [failure for failure in first.failures if failure.status == "ERROR"]
    assert failure.cause == "killed"
    assert failure.node
    folder = Path(first.results_dir)
    with recorded(folder) as recorder:
        (told,) = [entry["data"] for entry in recorder.events("failure")]
    assert (told["trial_id"], told["cause"]) == (failure.trial_id, "killed")
    result = trialrun.resume(folder, datasets={1: ROWS})
    assert [failure for failure in result.failures if failure.status == "ERROR"] == []
    assert content(folder) == undisturbed(tmp_path / "other", x=GRID, num_samples=1)


@pytest.mark.ray
def test_a_worker_that_is_killed_and_retried_records_each_step_once(tmp_path: Path) -> None:
    job = tuning("self 0 4", max_concurrent_trials=2, x=GRID, num_samples=1, max_failures=1)
    trialrun.run(job, plugin=PLUGIN, datasets={1: ROWS}, results=tmp_path)
    assert content(tmp_path / "cut-1") == undisturbed(tmp_path / "other", x=GRID, num_samples=1)
