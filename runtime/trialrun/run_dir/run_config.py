"""The options of a run, passed whole from the call through record and study to every trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trialrun.run_dir.spool import SPOOL_LIMIT

__all__ = ["ExecutorName", "RunConfig"]

ExecutorName = Literal["ray", "inline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The options of `trialrun.run` besides the job, its plugins and its data. Holds no credential.

    `seed` is None until preflight chooses one. `address` is that of a Ray cluster, `local_resources` those of a Ray
    that is started here. `spool_limit` is in bytes per attempt, None for no limit. `storage` is the URL or path to
    which the results folder is copied. `restore` is the trial folder or checkpoint from which trials begin.
    """

    executor: ExecutorName = "ray"
    seed: int | None = None
    address: str | None = None
    local_resources: Mapping[str, float] = field(default_factory=dict)
    spool_limit: int | None = SPOOL_LIMIT
    storage: str | None = None
    restore: str | None = None
