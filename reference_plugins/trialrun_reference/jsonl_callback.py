"""A trial callback hook: one line of JSON per finished trial.

TRIALRUN_TRIALS_JSONL=trials.jsonl trialrun run job.json --plugin …
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trialrun_hookspecs import hookimpl

__all__ = ["PATH_VARIABLE", "trial_callbacks"]

PATH_VARIABLE = "TRIALRUN_TRIALS_JSONL"


@hookimpl
def trial_callbacks() -> Iterable[Any]:
    """Return the callback for the path in the environment, or none when the path is not set."""
    path = os.environ.get(PATH_VARIABLE)
    if not path:
        return []
    # Ray takes seconds to import, and only a study on Ray calls this hook
    from trialrun_reference.jsonl_writer import JsonlCallback

    return [JsonlCallback(Path(path).absolute())]
