"""A plugin whose trials start workers: each worker validates a line on one fold of the points.

    trialrun run examples/cross_validation.yaml --plugin examples/cross_validation.py --dataset 1=examples/line.csv

The job reserves resources for them (`params.workers`), so no trial starts before its workers can.
"""

from __future__ import annotations

import json
from pathlib import Path


def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("this plugin only tunes")


def tune(hyperparameter, run, dataset, checkpoint):
    import ray

    artifact = Path(run.checkpoint_output)
    run.checkpoint_output = artifact  # before training starts
    points = [(float(row["data"]["x"]), float(row["data"]["y"])) for row in dataset["train"]]
    folds = hyperparameter["folds"]
    # A task must fit into one worker's resources. Ray places a trial's tasks and actors in the trial's placement group.
    validate = ray.remote(num_cpus=0.5)(loss_of_fold)
    losses = ray.get([validate.remote(points, fold, folds, hyperparameter["ridge"]) for fold in range(folds)])
    artifact.write_text(json.dumps(fit_line(points, hyperparameter["ridge"])))
    return {"loss": sum(losses) / folds, "worst": max(losses)}


def loss_of_fold(points, fold, folds, ridge):
    """Fit on all points except every `folds`-th, and return the mean squared error on those."""
    held_out = points[fold::folds]
    line = fit_line([point for index, point in enumerate(points) if index % folds != fold], ridge)
    return sum((line["slope"] * x + line["at_zero"] - y) ** 2 for x, y in held_out) / len(held_out)


def fit_line(points, ridge):
    """Return the line through the points; a larger `ridge` makes it flatter."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / (sum((x - mean_x) ** 2 for x, _ in points) + ridge)
    return {"slope": slope, "at_zero": mean_y - slope * mean_x}
