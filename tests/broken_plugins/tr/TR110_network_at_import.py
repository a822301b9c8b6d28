"""Asks a server when it is imported."""

import contextlib
import socket
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}
with contextlib.suppress(OSError):
    socket.create_connection(("192.0.2.1", 9), timeout=0.02)


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
