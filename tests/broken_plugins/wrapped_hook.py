"""Does not fit: a hook wrapper."""

from trialrun_hookspecs.markers import hookimpl


@hookimpl(wrapper=True)
def train(run, dataset, hyperparameter, checkpoint):
    return (yield)
