"""A TensorBoard event file: scalars and hyperparameters of one trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["EventFile"]


class EventFile:
    """Writes one event file at `path`, which it replaces; times are seconds since 1970.

    `purge_step` hides the points from that step on in older files of the folder. Raises ImportError: tensorboardX is
    missing.
    """

    def __init__(self, path: Path, started: float, purge_step: int | None = None) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._record = Event
        self._writer = RecordWriter(str(path))
        self._write(started, file_version="brain.Event:2")
        if purge_step is not None:
            self._write(started, step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def add_scalar(self, tag: str, value: float, step: float, at: float | None = None) -> None:
        """Add one point; `at` None means now."""
        summary = {"value": [{"tag": tag, "simple_value": _to_float(value)}]}
        self._write(time.time() if at is None else at, step=int(max(min(step, 2**62), -(2**62))), summary=summary)

    def add_hyperparameters(self, config: Mapping[str, Any], metrics: Mapping[str, Any], at: float) -> None:
        """Add one row for TensorBoard's HParams; values that are no number, bool or text are written as text."""
        from tensorboardX.summary import hparams

        for summary in hparams(_simplify_values(config), _simplify_values(metrics)):
            self._write(at, summary=summary)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _write(self, at: float, **fields: Any) -> None:
        self._writer.write(self._record(wall_time=at, **fields).SerializeToString())


def _simplify_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: cell if isinstance(cell, bool | str) else _to_float(cell) if isinstance(cell, int | float) else str(cell)
        for name, cell in values.items()
    }


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
