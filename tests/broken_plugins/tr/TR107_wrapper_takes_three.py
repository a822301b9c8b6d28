"""Is wrapped in a function that takes three arguments."""

import functools
from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def logged(function):
    @functools.wraps(function)
    def wrapper(run, dataset, hyperparameter):
        return function(run, dataset, hyperparameter, None)

    return wrapper


@logged
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
