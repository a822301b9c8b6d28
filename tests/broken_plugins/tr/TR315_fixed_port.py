"""Holds one port of the machine."""

import socket
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 47315))
        for step in (1, 2, 3):
            run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
