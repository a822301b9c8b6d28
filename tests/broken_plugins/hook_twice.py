"""Does not fit: two functions for one hook."""

from trialrun_hookspecs.markers import hookimpl


@hookimpl(specname="train")
def train_fast(run, dataset, hyperparameter, checkpoint):
    return "model.json"


@hookimpl(specname="train")
def train_well(run, dataset, hyperparameter, checkpoint):
    return "model.json"
