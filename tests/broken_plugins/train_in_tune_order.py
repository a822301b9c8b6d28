"""Does not fit: `train` with the parameters of `tune`."""


def train(hyperparameter, run, dataset, checkpoint, **kwargs):
    return "model.json"
