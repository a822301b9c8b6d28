"""The report hook, its runs read with MLflow's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun_hookspecs import Event

pytest.importorskip("mlflow", reason="needs trialrun[mlflow]")

from mlflow import MlflowClient
from mlflow.entities import Run

from trialrun_reference.mlflow_report import MlflowReport

# MLflow 3.17 asks SQLAlchemy 2.1 for what will go.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]
TIME = "2024-05-01T12:00:00+00:00"
EXPERIMENTS = (f"experiment-{n}" for n in count())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Store:
    """One experiment of the store that the tests of this file share: a new database takes seconds."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.clock = Clock()

    def writer(self) -> MlflowReport:
        return MlflowReport(self.uri, self.experiment, self.clock)

    def runs(self) -> dict[str, Run]:
        there = self.client.get_experiment_by_name(self.experiment)
        assert there is not None
        return {run.info.run_name: run for run in self.client.search_runs([there.experiment_id])}

    def history(self, run: str, key: str) -> list[tuple[int, float]]:
        found = self.client.get_metric_history(self.runs()[run].info.run_id, key)
        return [(metric.step, metric.value) for metric in found]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def store(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return Store(database, next(EXPERIMENTS))


def event(kind: Any, trial: str | None = None, *, study: str = "s1", **data: Any) -> Event:
    return Event(kind=kind, data=data, time=TIME, job_id=7, trial_id=trial, key=f"{study}-{trial or 'driver'}-0")


def metric(value: float, trial: str | None = "t1", **metrics: Any) -> Event:
    return event("metric", trial, category="validation", key="loss", value=value, metrics=metrics)


def table(kind: Any = "trials", /, **statuses: str) -> Event:
    rows = {
        trial: {"base": [trial, status], "hyperparameters": [n / 10, None], "metrics": []}
        for n, (trial, status) in enumerate(statuses.items(), 1)
    }
    return event(kind, base=["trial_id", "status"], hyperparameters=["learning rate", "unset"], metrics=[], trials=rows)


def test_a_study_is_a_run_and_its_trials_are_runs_below_it(store: Store) -> None:
    writer = store.writer()
    writer.report(event("status", status="RUNNING"))
    writer.report(metric(0.5, epoch=3))
    writer.report(table(t1="TERMINATED", t2="ERROR", t3="PAUSED"))
    writer.report(event("status", status="STOPPED"))
    runs = store.runs()
    assert {name: run.info.status for name, run in runs.items()} == {
        "job-7": "KILLED",
        "t1": "FINISHED",
        "t2": "FAILED",
        "t3": "RUNNING",
    }
    assert {run.data.tags.get("mlflow.parentRunId") for name, run in runs.items() if name != "job-7"} == {
        runs["job-7"].info.run_id
    }


def test_hyperparameters_are_parameters_and_what_is_not_set_is_none(store: Store) -> None:
    writer = store.writer()
    writer.report(table("trials_delta", t1="RUNNING"))
    writer.report(table(t1="RUNNING"))
    assert store.runs()["t1"].data.params == {"learning rate": "0.1"}


def test_metrics_keep_their_steps_and_times_and_are_counted_without(store: Store) -> None:
    writer = store.writer()
    for report in (metric(0.5, epoch=3), metric(0.25, epoch=9), metric(3, "t2"), metric(2, "t2"), metric(1, None)):
        writer.report(report)
    writer.flush()
    assert store.history("t1", "validation/loss") == [(3, 0.5), (9, 0.25)]
    assert store.history("t2", "validation/loss") == [(1, 3.0), (2, 2.0)]
    assert store.history("job-7", "validation/loss") == [(1, 1.0)]
    (one,) = store.client.get_metric_history(store.runs()["job-7"].info.run_id, "validation/loss")
    assert one.timestamp == 1714564800000


def test_results_are_metrics_by_iteration(store: Store) -> None:
    metrics = {"loss": 0.5, "deep": {"top@5": 1}, "note": "fine", "done": True, "gap": None}
    writer = store.writer()
    writer.report(event("trial_result", "t1", trial_id="t1", iteration=4, metrics=metrics))
    writer.flush()
    assert store.history("t1", "result/loss") == [(4, 0.5)]
    assert store.runs()["t1"].data.metrics == {"result/loss": 0.5, "result/deep/top_5": 1.0}


def test_the_best_trial_and_why_one_failed_are_tags(store: Store) -> None:
    writer = store.writer()
    writer.report(event("failure", "t2", trial_id="t2", error="ValueError: " + "x" * 9000, cause="raised"))
    writer.report(event("result", best_trial={"trial_id": "t1", "metrics": {"loss": 0.5}}))
    writer.report(event("status", status="SUCCEEDED"))
    runs = store.runs()
    assert runs["t2"].data.tags["trialrun.error"].startswith("ValueError: xxx")
    assert runs["job-7"].data.tags["trialrun.best_trial"] == "t1"
    assert runs["job-7"].data.metrics == {"best/loss": 0.5}
    assert runs["job-7"].info.status == "FINISHED"


def test_what_waits_is_written_within_seconds_and_in_batches(store: Store) -> None:
    writer = store.writer()
    for step in range(2500):
        writer.report(metric(step, epoch=step))
    assert store.history("t1", "validation/loss") == []
    store.clock.now = 5.0
    writer.report(event("message", context="info", content="hello"))
    assert store.history("t1", "validation/loss") == [(step, step) for step in range(2500)]


def test_a_study_that_goes_on_continues_its_runs_and_another_does_not(store: Store) -> None:
    first = store.writer()
    first.report(table(t1="RUNNING"))
    first.report(event("status", status="STOPPED"))
    again = store.writer()
    again.report(event("status", status="RUNNING"))
    again.report(table(t1="TERMINATED"))
    again.report(event("status", status="SUCCEEDED"))
    assert {name: run.info.status for name, run in store.runs().items()} == {"t1": "FINISHED", "job-7": "FINISHED"}
    again.report(event("status", study="s2", status="RUNNING"))
    there = store.client.get_experiment_by_name(store.experiment)
    assert there is not None
    assert len(store.client.search_runs([there.experiment_id])) == 3


@pytest.mark.parametrize("kind", ["message", "progress", "model", "visualization", "resumed"])
def test_other_events_make_no_run(store: Store, kind: Any) -> None:
    store.writer().report(event(kind))
    assert store.runs() == {}


def test_a_study_is_in_the_store_that_the_environment_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", store.experiment)
    rates: dict[str, Any] = {"name": "learning_rate", "type": "grid_search", "options": [0.1, 0.2]}
    epochs = {"name": "epochs", "type": "constant", "value": 2}
    tuning = {"metric": "loss", "mode": "min"}
    params = {
        "name": "logged",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [rates, epochs],
        "tune_config": tuning,
    }
    line = ROOT / "examples" / "line.csv"
    job = {"action": "train", "params": params}
    result = trialrun.run(job, plugin="pure", plugins=["mlflow"], datasets={1: line}, executor="inline", results="here")
    assert result.warnings == []
    runs = store.runs()
    study = runs.pop("job-1")
    assert result.best_trial is not None
    assert study.data.tags["trialrun.best_trial"] == result.best_trial.trial_id
    assert {run.data.params["learning_rate"] for run in runs.values()} == {"0.1", "0.2"}
    for name in runs:
        steps = [step for step, _ in store.history(name, "result/loss")]
        assert steps == [1, 2]
        assert store.history(name, "train/loss") == store.history(name, "result/loss")


def test_the_store_is_a_file_in_the_current_directory_and_nothing_is_sent_elsewhere(tmp_path: Path) -> None:
    code = """
import os
from trialrun_hookspecs import Event
from trialrun_reference.mlflow_report import report
data = {"category": "validation", "key": "loss", "value": 0.5, "metrics": {"epoch": 1}}
report(Event(kind="metric", data=data, job_id=7, trial_id="t1", key="s1-t1-0-0"))
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
"""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # without CI=true and its like, which switch it off too
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=env)
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", "trialrun")
    assert store.history("t1", "validation/loss") == [(1, 0.5)]


def test_its_absence_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    hidden: Callable[[str], Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else hidden(name))
    monkeypatch.delitem(sys.modules, "trialrun_reference.mlflow_report")
    with pytest.raises(ImportError, match=r"trialrun\[mlflow\]"):
        __import__("trialrun_reference.mlflow_report")
