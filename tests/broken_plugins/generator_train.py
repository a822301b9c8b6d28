"""Does not fit: only `tune` may yield."""


def train(run, dataset, hyperparameter, checkpoint):
    yield {"loss": 1.0}
