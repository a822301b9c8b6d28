"""Does not fit: asks for more than is passed."""


def train(run, dataset, hyperparameter, checkpoint, epochs, *, device):
    return "model.json"
