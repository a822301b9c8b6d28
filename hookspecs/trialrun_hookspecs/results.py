"""The result of a job, and the outcome of its trials."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BestTrial", "FailureCause", "JobResult", "Status", "TrialFailure", "TrialModel", "TrialStatus"]

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
TrialStatus = Literal["PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"]
FailureCause = Literal["", "raised", "exited", "crashed", "killed", "out_of_memory", "node_lost"]
"""`raised` an exception, `exited` through sys.exit, `crashed` (a segmentation fault), `killed` from outside."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class BestTrial(_Result):
    """The best trial of a study."""

    trial_id: str
    trial_logdir: str
    config: dict[str, Any]
    metrics: dict[str, Any]


class TrialModel(BestTrial):
    """A trial that has a model on the backend."""

    model_id: int


class TrialFailure(_Result):
    """A trial that ended with an error, or has no model: `error` says why."""

    trial_id: str
    status: TrialStatus
    error: str
    traceback: str = ""
    cause: FailureCause = Field(default="", description="the kind of failure; empty for a trial that has no model")
    node: str = Field(default="", description="the node that the trial ran on")
    stderr: str = Field(default="", description="the end of the trial's stderr")


class JobResult(_Result):
    """The outcome of a job; `model_id` is the model of training or of the best trial (None: it has no artifact)."""

    model_id: int | None
    best_trial: BestTrial | None = None
    trial_models: list[TrialModel] = Field(default_factory=list)
    failures: list[TrialFailure] = Field(default_factory=list)
    job_id: int = 0
    status: Status = "SUCCEEDED"
    seed: int = 0
    results_dir: str = ""
    ended_by: str = Field(default="", description="the rule that ended the study early, such as time_budget_s")
    ended_early: dict[str, str] = Field(
        default_factory=dict,
        description="the rule or scheduler that ended a trial early, by trial id",
    )
    warnings: list[str] = Field(default_factory=list)
