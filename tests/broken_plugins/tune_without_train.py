"""Does not fit: `tune` alone is not enough."""


def tune(hyperparameter, run, dataset, checkpoint):
    return 1.0
