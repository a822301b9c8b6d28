"""Each `fault` is one way for a trial to go wrong; `none` goes well."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("training has no business here")


def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
    fault = hyperparameter["fault"]
    run.checkpoint_output = "weights"
    Path("weights").write_text("w")
    if fault == "raises":
        raise ValueError("boom at the first step")
    if fault == "exits":
        sys.exit(3)
    if fault == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "nan":
        run.report({"loss": float("nan")})
    if fault == "nan_later":
        run.report({"loss": 1.0})
        run.report({"loss": float("inf")})
    if fault == "nothing":
        return None
    if fault == "string":
        return "0.5"
    if fault == "true":
        return True
    if fault == "other_metric":
        return {"lost": 0.5}
    if fault == "no_artifact":
        Path("weights").unlink()
    if fault == "outside":
        run.checkpoint_output = "/etc/hostname"
    if fault == "bad_log":
        run.log_metric("train", "loss", "high")
    return {"loss": 0.5}
