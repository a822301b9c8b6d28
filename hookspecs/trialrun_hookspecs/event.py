"""The event: one thing that was reported, as `report` hooks receive it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Event", "Kind"]

Kind = Literal[
    "metric",  # data: category, key, value, metrics
    "visualization",  # data: category, group, index, and further keywords; `file` is a data URI
    "message",  # data: context, content
    "trials",  # data: a whole trial table
    "trials_delta",  # data: the rows of the table that changed
    "trial_result",  # data: trial_id, iteration, metrics: one report of one trial
    "failure",  # data: trial_id, error, cause, traceback, node, stderr: why a trial failed
    "resumed",  # data: trial_id, attempt, iteration, prefix, after: later events of earlier attempts are repeated
    "progress",  # data: category, current, total, overall (0..1), eta_s (seconds or None)
    "status",  # data: status, and error when it failed
    "model",  # data: model_id, trial_id, name
    "result",  # data: the job's result
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One report. `key` is unique and stable: the same report sent twice carries the same key.

    `time` is ISO 8601 with an offset; `seq` counts up per trial and attempt; `file` is a base64 data URI.
    """

    kind: Kind
    data: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""
    job_id: int = 0
    trial_id: str | None = None
    key: str = ""
    seq: int = 0
    file: str | None = None

    @property
    def run_key(self) -> str:
        """The part of the key before the first dash: all events of one run share it, also after a resume."""
        return self.key.partition("-")[0]
