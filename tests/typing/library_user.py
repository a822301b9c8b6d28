"""The types that a caller of the runtime sees; read by type checkers, never run."""

from __future__ import annotations

from typing import Any, Literal, assert_type

import trialrun
from trialrun import Recorder, load, load_plugin
from trialrun.recordings import LoadedRun
from trialrun.testing import Report, check_plugin
from trialrun_hookspecs import BestTrial, JobResult, TrialModel


def run_job(job: dict[str, Any]) -> None:
    result = trialrun.run(job, plugin="pure", datasets={1: "line.csv"}, executor="inline")
    assert_type(result, JobResult)
    assert_type(result.model_id, int | None)
    assert_type(result.best_trial, BestTrial | None)
    assert_type(result.trial_models, list[TrialModel])
    assert_type(result.status, Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"])
    assert_type(trialrun.resume(result.results_dir), JobResult)
    trialrun.run(job, plugin="pure", executor="threads")  # type: ignore[arg-type]
    trialrun.run(job, "pure")  # type: ignore[call-arg]


def read_recording() -> None:
    run = load("results")
    assert_type(run, LoadedRun)
    assert_type(run.metric, str | None)


def use_recorder() -> None:
    with Recorder() as recorder:
        assert_type(recorder, Recorder)
        assert_type(recorder.metrics(), list[dict[str, Any]])
        with recorder.server() as server:
            assert_type(server.url, str)


def check() -> None:
    report = check_plugin("my_plugin.py")
    assert_type(report, Report)
    assert_type(report.exit_code, int)
    load_plugin(need_train=True)  # type: ignore[call-arg]
