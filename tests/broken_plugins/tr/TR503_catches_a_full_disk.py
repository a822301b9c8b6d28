"""Catches the error of a full disk."""

import contextlib
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    path = Path(run.checkpoint_output)
    path.mkdir()
    with contextlib.suppress(OSError):
        (path / "weights.bin").write_bytes(b"weights")
    return run.checkpoint_output
