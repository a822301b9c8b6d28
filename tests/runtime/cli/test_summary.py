"""The summary names the best trial, the results, and each failure on one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trialrun.cli.summary import format_summary, format_trial_failures
from trialrun_hookspecs.results import BestTrial, JobResult, TrialFailure, TrialModel

BEST: dict[str, Any] = {
    "trial_id": "t1",
    "trial_logdir": "/r/t1",
    "config": {"lr": 0.123456, "activation": "relu"},
    "metrics": {"loss": 0.5, "accuracy": 0.987654321, "epoch": 20},
}


def _result(folder: Path, **fields: Any) -> JobResult:
    models = [TrialModel(model_id=n, **BEST) for n in (3, 4)]
    given = {"model_id": 3, "best_trial": BestTrial(**BEST), "trial_models": models, "results_dir": str(folder)}
    return JobResult(**{**given, **fields})


def _lines(result: JobResult, trials: int = 3) -> list[str]:
    return format_summary(result, name="my job", elapsed=65.0, trials=trials, metric="accuracy")


def test_the_winner_is_named_with_its_values(tmp_path: Path) -> None:
    (tmp_path / "recorder.sqlite").touch()
    assert _lines(_result(tmp_path)) == [
        "my job: succeeded in 1 min 5 s",
        "",
        "best trial t1",
        "           accuracy=0.9877  loss=0.5  epoch=20",
        "with       lr=0.1235  activation=relu",
        "model      3 (one of 2)",
        "trials     3, all succeeded",
        f"results    {tmp_path}",
        f"recording  {tmp_path / 'recorder.sqlite'}",
    ]


def test_failures_stand_one_per_line(tmp_path: Path) -> None:
    failures = [
        TrialFailure(trial_id="t0", status="ERROR", error="ValueError: two\nlines \x1b[31m"),
        TrialFailure(trial_id="t1", status="TERMINATED", error="it has no model"),
        TrialFailure(trial_id="t2", status="ERROR", error="x" * 999),
    ]
    lines = _lines(_result(tmp_path, failures=failures, warnings=["careful"], ended_by="target: reached"))
    assert "failed     t0  ValueError: two | lines \\x1b[31m" in lines
    assert "no model   t1  it has no model" in lines
    assert "trials     3, 1 succeeded, 2 failed" in lines
    assert "warnings   careful" in lines
    assert "ended by   target: reached" in lines
    assert max(len(line) for line in lines) < 320


def test_a_thousand_failures_are_cut_short(tmp_path: Path) -> None:
    failures = [TrialFailure(trial_id=f"t{n}", status="ERROR", error="no") for n in range(1000)]
    lines = format_trial_failures(_result(tmp_path, failures=failures))
    assert len(lines) == 22
    assert lines[-2].strip() == "… and 980 more, in result.json"
    assert lines[-1].strip() == f"the output of the trials is in {tmp_path / 'trials'}"


def test_nothing_is_said_of_trials_after_training(tmp_path: Path) -> None:
    lines = _lines(JobResult(model_id=1, results_dir=str(tmp_path)), trials=0)
    assert lines == ["my job: succeeded in 1 min 5 s", "", "model      1", f"results    {tmp_path}"]
