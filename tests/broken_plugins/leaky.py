"""Changes its process in every way that the next trial must not see, and says what it found."""

from __future__ import annotations

import os
import random
import subprocess
import sys


def train(run, dataset, hyperparameter, checkpoint):
    found = {
        "environment": "LEAKED" in os.environ,
        "path": "/leaked" in sys.path,
        "folder": os.path.basename(os.getcwd()) != run.trial_id,
    }
    os.environ["LEAKED"] = "1"
    sys.path.append("/leaked")
    os.chdir("/")
    print("printed by", run.trial_id)
    subprocess.run([sys.executable, "-c", f"print('child of {run.trial_id}')"], check=True)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
    run.report(
        {
            "loss": random.random(),
            "leaks": sum(found.values()),
            "pid": os.getpid(),
            "process": os.getpid(),
            "rows": len(dataset["train"]),
            "gpu_hidden": int(visible == ""),
        }
    )
    run.log_metric("train", "loss", 1.0, step=1)
    run.log_message(f"visible {visible}")
