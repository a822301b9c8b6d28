def train(run, dataset, hyperparameter, checkpoint):
    return "model.json"
