"""A tune() that returns one number, with a nested search space and an image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

conformance = {
    "capabilities": ["tunes", "deterministic"],
    "hyperparameter": {"optimizer": {"lr": 0.25}, "name": "sgd"},
    "hyperparameters": [
        {"name": "optimizer/lr", "type": "quniform", "min": 0.0, "max": 1.0, "q": 0.25},
        {"name": "name", "type": "choice", "options": ["sgd", "adam"]},
    ],
}


def train(run, dataset, hyperparameter, checkpoint=None, **kwargs):
    loss = _loss(hyperparameter)
    run.log_metric("train", "loss", loss)
    run.log_visualization("train", "loss", 0, _png(loss), loss=loss)
    Path("weights").mkdir()
    Path("weights", "model.txt").write_text(str(loss))
    return Path("weights")


def tune(hyperparameter, run, dataset, checkpoint=None, **kwargs):
    loss = _loss(hyperparameter)
    Path(run.checkpoint_output).write_text(str(loss))
    return loss


def _loss(hyperparameter):
    lr = hyperparameter.get("optimizer", {}).get("lr", 0.5)
    if not isinstance(lr, int | float):
        raise TypeError(f"optimizer/lr must be a number, got {lr!r}")
    return (lr - 0.3) ** 2 + (0.1 if hyperparameter.get("name") == "adam" else 0.0)


def _png(value):
    grey = bytes([0, min(255, int(value * 255))])
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(grey)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
