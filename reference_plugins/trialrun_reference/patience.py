"""A scheduler hook: stop a trial whose objective has stopped improving.

"scheduler": {"name": "patience", "options": {"patience": 3, "min_delta": 0.001}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trialrun_hookspecs import Problem, UsageError, hookimpl

if TYPE_CHECKING:
    from trialrun_reference.patience_scheduler import PatienceScheduler

__all__ = ["make_patience", "schedulers"]


@hookimpl
def schedulers() -> Mapping[str, Callable[..., Any]]:
    return {"patience": make_patience}


def make_patience(
    *, metric: str | None, mode: str | None, patience: Any = 5, min_delta: Any = 0.0, **unknown: Any
) -> PatienceScheduler:
    """Return a scheduler that stops a trial after `patience` results in a row that are not better by `min_delta`.

    Raises UsageError for other options or values.
    """
    problems = [
        Problem(where=f"scheduler.options.{name}", rule="is not known", fix="Known are patience, min_delta")
        for name in unknown
    ]
    if type(patience) is not int or patience < 1:
        where = "scheduler.options.patience"
        problems.append(Problem(where=where, rule="must be a whole number of at least 1", got=repr(patience)))
    if type(min_delta) not in (int, float) or not 0 <= min_delta < math.inf:
        where = "scheduler.options.min_delta"
        problems.append(Problem(where=where, rule="must be a finite number of at least 0", got=repr(min_delta)))
    if problems:
        raise UsageError(problems=problems)
    # Ray takes seconds to import, and the name is needed more often than the scheduler
    from trialrun_reference.patience_scheduler import PatienceScheduler

    return PatienceScheduler(metric=metric, mode=mode, patience=patience, min_delta=min_delta)
