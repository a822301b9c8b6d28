"""The types that a plugin author sees; read by type checkers, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from trialrun_hookspecs import Event, Request, Run, count_trials, hookimpl, parse_request


@hookimpl
def train(run: Run, dataset: Any, hyperparameter: dict[str, Any]) -> dict[str, float]:
    assert_type(run.name, str)
    assert_type(run.job_id, int)
    assert_type(run.trial_id, str | None)
    assert_type(run.is_tune, bool)
    assert_type(run.seed, int)
    assert_type(run.checkpoint_output, str)
    run.log_metric("training", "loss", 0.5, epoch=10)
    run.log_message("half-way", "warning")
    assert_type(run.log_trials(trials={"a": {"loss": 0.5}}), dict[str, Any])
    return {"loss": 0.5}


def set_output(run: Run, path: Path) -> None:
    run.checkpoint_output = path
    run.checkpoint_output = str(path)


def misuse(run: Run) -> None:
    run.log_message("half-way", "shout")  # type: ignore[arg-type]
    run.log_metric("training", "loss", "half")  # type: ignore[arg-type]
    run.job_id = 3  # type: ignore[misc]


def read_job(text: dict[str, Any]) -> None:
    request = parse_request(text)
    assert_type(request, Request)
    assert_type(count_trials(request), int | None)


def read_event(event: Event) -> None:
    assert_type(event.job_id, int)
