"""Breaks on import: needs a library that is not installed."""

import a_library_that_nobody_has


def train(run, dataset, hyperparameter, checkpoint):
    return a_library_that_nobody_has.fit()
