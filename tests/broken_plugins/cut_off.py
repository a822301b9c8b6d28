"""Sound, but its process is killed once: `die` names the process, the trial's number (0: the first) and the step.

`driver` is the process of the run, which holds the results folder; `self` is the one that the plugin runs in. A copy of
the folder may not know that this happened: CUT_OFF_NO_MORE in the environment says so. CUT_OFF_WAITS_FOR names a file
without which nothing is killed, for a minute.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path


def train(run, dataset, hyperparameter, checkpoint):
    return steps(run, hyperparameter, checkpoint)


def tune(hyperparameter, run, dataset, checkpoint=None, **kwargs):
    run.checkpoint_output = steps(run, hyperparameter, checkpoint)


def steps(run, hyperparameter, checkpoint):
    folder = Path("state")
    folder.mkdir(exist_ok=True)
    first = 0
    if checkpoint and checkpoint.get("resumed"):
        first = json.loads((Path(checkpoint["path"]) / "state.json").read_text())["next"]
    run.log_message(f"begins at step {first}")
    for step in range(first, 6):
        run.log_metric("steps", "step", step)
        die(run, hyperparameter, step)
        time.sleep(hyperparameter.get("pause", 0.0))
        (folder / "state.json").write_text(json.dumps({"next": step + 1}))
        every = hyperparameter.get("every", 2)
        loss = hyperparameter.get("x", 0.0) + 1 / (step + 1)
        run.report({"loss": loss, "step": step}, checkpoint=folder if step % every == every - 1 else None)
    (folder / "model").write_text(str(hyperparameter.get("x")))
    return str(folder.absolute() / "model")


def die(run, hyperparameter, step):
    process, trial, when = hyperparameter.get("die", "no 0 0").split()
    results = next(path for path in Path.cwd().parents if (path / "job.json").exists())
    number = run.trial_id.rpartition("_")[2] if run.trial_id and "_" in run.trial_id else "0"
    if process == "no" or "CUT_OFF_NO_MORE" in os.environ or int(when) != step or int(trial) != int(number):
        return
    try:
        (results / "died").touch(exist_ok=False)
    except FileExistsError:
        return
    end = time.monotonic() + 60
    while not Path(os.environ.get("CUT_OFF_WAITS_FOR", "/")).exists() and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(int((results / "lock").read_text()) if process == "driver" else os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until the driver's death brings this one down
