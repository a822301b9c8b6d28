"""Marks a function that is no hook."""

from pathlib import Path
from trialrun_hookspecs import hookimpl

conformance = {"capabilities": ["deterministic"]}


@hookimpl
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output


@hookimpl
def reports(event): ...
