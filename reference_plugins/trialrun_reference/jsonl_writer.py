"""The Ray callback that `trialrun_reference.jsonl_callback` offers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback

__all__ = ["JsonlCallback"]


class JsonlCallback(Callback):
    """Appends `{"trial_id", "status", "config", "metrics"}` to `path` for each finished trial.

    `metrics` are those of the last result; values without JSON form, NaN and infinities too, are written as text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._append_trial(trial, "TERMINATED")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._append_trial(trial, "ERROR")

    def _append_trial(self, trial: Any, status: str) -> None:
        metrics = {key: value for key, value in (trial.last_result or {}).items() if key != "config"}
        entry = {"trial_id": trial.trial_id, "status": status, "config": trial.config, "metrics": metrics}
        line = json.dumps(_make_json_safe(entry), default=str, ensure_ascii=False, allow_nan=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:  # opened each time, because Ray may pickle this object
            file.write(line + "\n")


def _make_json_safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _make_json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_json_safe(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
