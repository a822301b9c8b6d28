"""Returns a path where nothing is."""

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    return run.checkpoint_output
