"""A report hook: runs in MLflow's own store of everything a job records, with the extra `mlflow`.

    trialrun run job.json --plugin … --with mlflow
    mlflow ui --backend-store-uri sqlite:///mlflow.db

A study is a run with its trials as nested runs; a training job is one run. Metrics are `<category>/<key>`, reported
results `result/<name>`; hyperparameters are parameters. A resumed study continues its runs.

MLflow's own variables set the target: `MLFLOW_TRACKING_URI` (default `sqlite:///mlflow.db`, in the current directory)
and `MLFLOW_EXPERIMENT_NAME` (default `trialrun`). Nothing is sent elsewhere: MLflow's telemetry is off unless
`MLFLOW_DISABLE_TELEMETRY` is set otherwise.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialrun_hookspecs import hookimpl
from trialrun_reference.scalars import find_step, flatten_numbers, read_wall_time

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from trialrun_hookspecs import Event

__all__ = ["EXPERIMENT", "LOCAL_STORE", "MlflowReport", "report"]

LOCAL_STORE = "sqlite:///mlflow.db"
EXPERIMENT = "trialrun"

_ENDS = {"TERMINATED": "FINISHED", "ERROR": "FAILED", "STOPPED": "KILLED", "SUCCEEDED": "FINISHED", "FAILED": "FAILED"}
_FLUSH_EVERY_S = 2.0
_BATCH = 1000  # the most metrics that MLflow takes in one call
_LONGEST = 500  # characters of a parameter or tag that every store takes
_STUDY, _TRIAL, _PARENT = "trialrun.study", "trialrun.trial", "mlflow.parentRunId"

if importlib.util.find_spec("mlflow") is None:
    raise ImportError("mlflow is not installed: pip install 'trialrun[mlflow]'")


@hookimpl
def report(event: Event) -> None:
    """Write one event to the store of MLflow's environment variables."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or LOCAL_STORE
    _get_report(uri, os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT).report(event)


@lru_cache
def _get_report(uri: str, experiment: str) -> MlflowReport:
    made = MlflowReport(uri, experiment)
    atexit.register(made.flush)  # an interrupted job sends no last status
    return made


class MlflowReport:
    """Writes events to the store at `uri`, metrics at most two seconds later.

    A new experiment in a local store keeps its artifacts in `mlartifacts` of the current directory.
    """

    def __init__(self, uri: str, experiment: str = EXPERIMENT, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = _make_client(uri)
        self._experiment = _get_or_create_experiment(self._client, experiment, uri)
        self._clock = clock
        self._flushed_at = clock()
        self._waiting: defaultdict[str, list[Metric]] = defaultdict(list)
        self._runs: dict[tuple[str, str], str] = {}  # by study and trial; "" is the study itself
        self._ended: dict[str, str] = {}
        self._described: set[str] = set()
        self._steps: Counter[tuple[str, str]] = Counter()

    @hookimpl
    def report(self, event: Event) -> None:
        if event.kind == "metric":
            name = f"{event.data['category']}/{event.data['key']}"
            step = self._choose_step(event, name, event.data.get("metrics") or {})
            self._queue_metrics(event, [(name, event.data["value"])], step)
        elif event.kind == "trial_result":
            found = flatten_numbers(event.data["metrics"], "result/")
            self._queue_metrics(event, found, event.data["iteration"])
        elif event.kind in ("trials", "trials_delta"):
            self._record_trials(event)
        elif event.kind == "failure":
            self._client.set_tag(self._get_run_id(event), "trialrun.error", str(event.data["error"])[:_LONGEST])
        elif event.kind == "result":
            self._record_best_trial(event)
        elif event.kind == "status":
            self._set_run_status(self._get_run_id(event), event.data["status"])
        if self._clock() - self._flushed_at >= _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write the pending metrics."""
        for run, metrics in self._waiting.items():
            for first in range(0, len(metrics), _BATCH):
                self._client.log_batch(run, metrics=metrics[first : first + _BATCH])
        self._waiting.clear()
        self._flushed_at = self._clock()

    def _queue_metrics(self, event: Event, values: Iterable[tuple[str, float]], step: int) -> None:
        from mlflow.entities import Metric

        at = int(read_wall_time(event) * 1000)
        self._waiting[self._get_run_id(event)] += [Metric(_clean_name(name), value, at, step) for name, value in values]

    def _record_trials(self, event: Event) -> None:
        """Write the parameters of trials that are new in the table, and the end of finished ones."""
        for trial, row in event.data["trials"].items():
            run = self._get_run_id(event, trial)
            if run not in self._described:
                self._described.add(run)
                self._log_parameters(run, zip(event.data["hyperparameters"], row["hyperparameters"], strict=True))
            self._set_run_status(run, dict(zip(event.data["base"], row["base"], strict=True)).get("status", ""))

    def _record_best_trial(self, event: Event) -> None:
        best = event.data.get("best_trial") or {}
        run = self._get_run_id(event)
        if best:
            self._client.set_tag(run, "trialrun.best_trial", best["trial_id"])
            self._queue_metrics(event, flatten_numbers(best.get("metrics") or {}, "best/"), 0)

    def _log_parameters(self, run: str, values: Iterable[tuple[str, Any]]) -> None:
        from mlflow.entities import Param

        kept = [Param(_clean_name(key), str(value)[:_LONGEST]) for key, value in values if value is not None]
        self._client.log_batch(run, params=kept)

    def _set_run_status(self, run: str, status: str) -> None:
        status = _ENDS.get(status, "RUNNING")
        if status == self._ended.get(run, "RUNNING"):
            return
        self._ended[run] = status
        if status == "RUNNING":
            self._client.update_run(run, status)
            return
        self.flush()
        self._client.set_terminated(run, status)

    def _get_run_id(self, event: Event, trial: str | None = None) -> str:
        """Return the id of the run of the event's trial, study or training, created when there is none."""
        return self._get_or_create_run(event.run_key, trial or event.trial_id or "", event.job_id)

    def _get_or_create_run(self, study: str, trial: str, job: int) -> str:
        if (study, trial) not in self._runs:
            self._runs[study, trial] = self._find_run(study, trial) or self._create_run(study, trial, job)
        return self._runs[study, trial]

    def _find_run(self, study: str, trial: str) -> str | None:
        """Return the id of the run that an earlier process created, if any."""
        same = f"tags.`{_STUDY}` = '{study}' and tags.`{_TRIAL}` = '{trial}'"
        for run in self._client.search_runs([self._experiment], same, max_results=1):
            self._described.add(run.info.run_id)
            self._ended[run.info.run_id] = run.info.status
            return str(run.info.run_id)
        return None

    def _create_run(self, study: str, trial: str, job: int) -> str:
        tags = {_STUDY: study, _TRIAL: trial}
        if trial:
            tags[_PARENT] = self._get_or_create_run(study, "", job)
        made = self._client.create_run(self._experiment, run_name=trial or f"job-{job}", tags=tags)
        return str(made.info.run_id)

    def _choose_step(self, event: Event, name: str, facts: Mapping[str, Any]) -> int:
        """Return the step that the plugin reported, or the next number of its own count."""
        given = find_step(facts)
        if given is not None:
            return given
        run = self._get_run_id(event)
        self._steps[run, name] += 1
        return self._steps[run, name]


def _make_client(uri: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _get_or_create_experiment(client: MlflowClient, name: str, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    beside = None if uri.startswith("http") else Path("mlartifacts").absolute().as_uri()
    return str(client.create_experiment(name, artifact_location=beside))


def _clean_name(text: str) -> str:
    """Return a name that MLflow accepts: letters, digits, blanks, and `_ - . / :`."""
    return re.sub(r"[^\w\-./: ]", "_", text, flags=re.ASCII)
