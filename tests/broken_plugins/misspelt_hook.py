"""Does not fit: marks a function that is no hook."""

from trialrun_hookspecs.markers import hookimpl


@hookimpl
def trian(run, dataset, hyperparameter, checkpoint):
    return "model.json"
