"""A class with marked methods, and an object of it."""

from __future__ import annotations

from pathlib import Path

from trialrun_hookspecs import hookimpl

conformance = {
    "capabilities": ["tunes", "deterministic"],
    "hyperparameter": {"shrink": 0.5},
    "hyperparameters": [{"name": "shrink", "type": "uniform", "min": 0.0, "max": 1.0}],
    "metric": "error",
}


class Plugin:
    """Fits a mean."""

    @hookimpl
    def train(self, run, dataset, hyperparameter, checkpoint):
        mean, error = self._fitted(dataset, hyperparameter)
        run.log_metric("train", "error", error)
        return self._saved(run, mean)

    @hookimpl
    def tune(self, hyperparameter, run, dataset, checkpoint):
        mean, error = self._fitted(dataset, hyperparameter)
        self._saved(run, mean)
        return {"error": error, "mean": mean}

    def _fitted(self, dataset, hyperparameter):
        shrink = hyperparameter.get("shrink", 0.0)
        if not isinstance(shrink, float):
            raise TypeError(f"shrink must be a float, got {shrink!r}")
        ys = [row["data"]["y"] for row in dataset.get("train", ())]
        if not ys:
            raise ValueError("no rows in category 'train'")
        mean = (1 - shrink) * sum(ys) / len(ys)
        return mean, sum((y - mean) ** 2 for y in ys) / len(ys)

    def _saved(self, run, mean):
        path = Path(run.checkpoint_output)
        path.write_text(str(mean))
        return path


plugin = Plugin()
train, tune = plugin.train, plugin.tune
