"""Registers itself, which can be done once."""

import sys
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}
if hasattr(sys, "tr113"):
    raise RuntimeError("tr113 is registered already")
sys.tr113 = True


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
