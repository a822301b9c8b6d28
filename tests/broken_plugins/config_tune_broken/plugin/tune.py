from plugin.helpers import objective


def tune(hyperparameter, run, dataset, checkpoint):
    return objective(hyperparameter)
