"""Each `fault` is one way for training to go wrong; without one it goes well, and resumes."""

from __future__ import annotations

import sys
from pathlib import Path


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    fault = hyperparameter.get("fault")
    run.set_progress(0, 2, "train")
    run.log_metric("train", "loss", 0.5, epoch=1)
    if fault == "raises":
        raise ValueError("boom in training")
    if fault == "exits":
        sys.exit(3)
    if fault == "interrupted":
        raise KeyboardInterrupt
    if fault == "nothing":
        return None
    if fault == "missing":
        return "no/such/file"
    if fault == "outside":
        return "/etc/hostname"
    if fault == "number":
        return 7
    if fault == "empty":
        Path("empty").mkdir()
        return "empty"
    hyperparameter["changed"] = True
    before = Path(checkpoint["path"], "model").read_text() if checkpoint else ""
    Path("model").write_text(before + "trained ")
    run.set_progress(2, 2, "train")
    run.report({"accuracy": 0.9, "note": "text is no metric"})
    print("said on stdout")
    return "model"
