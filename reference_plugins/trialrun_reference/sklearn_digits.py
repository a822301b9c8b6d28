"""A plugin with scikit-learn: a small neural network that reads handwritten digits.

Made for the dataset of `trialrun_reference.digits`, or any with the categories `train` and `validation` whose rows have
an 8x8 image, `{"files": {"image": path}, "data": {"label": 7}}`.

The network is trained by plain stochastic gradient descent, so that the weights and the number of epochs are its whole
state: a paused trial, or a model that is trained further, continues exactly as without the interruption. `epochs`
therefore counts from the first start, also in a resumed run.

The artifact is a folder: `weights.npz`, read without pickle, and `model.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from trialrun_hookspecs import hookimpl
from trialrun_reference.digit_images import LABELS, SIDE, load_images
from trialrun_reference.hyperparameters import Rule, make_count_rule, make_number_rule, resolve_settings

if TYPE_CHECKING:
    from trialrun_hookspecs import Run

__all__ = ["HYPERPARAMETERS", "conformance", "datasets", "few_digits", "train", "tune"]

conformance = {  # used by `trialrun check`, some forty times
    "dataset": "few_digits",
    "hyperparameter": {"epochs": 2, "learning_rate": 0.1, "hidden": 8, "batch_size": 32},
    "hyperparameters": [
        {"name": "learning_rate", "type": "uniform", "min": 0.05, "max": 0.5},
        {"name": "epochs", "type": "choice", "options": [2]},
        {"name": "hidden", "type": "choice", "options": [8, 16]},
        {"name": "batch_size", "type": "choice", "options": [16, 32]},
    ],
    "metric": "accuracy",
    "mode": "max",
    "capabilities": ["tunes", "resumes", "deterministic"],
}

Array = NDArray[Any]

FEW = 150


HYPERPARAMETERS: Mapping[str, Rule] = {
    "epochs": make_count_rule(),
    "learning_rate": make_number_rule("a finite number above 0", lambda value: value > 0),
    "hidden": make_count_rule(32, fixed=True),
    "batch_size": make_count_rule(32),
    "alpha": make_number_rule("a finite number of at least 0", lambda value: value >= 0, 1e-4),
    "activation": Rule(
        accepts=lambda value: value in ("relu", "tanh", "logistic"),
        says="'relu', 'tanh' or 'logistic'",
        default="relu",
        fixed=True,
    ),
}
"""The settings, with the rule for each. Good ranges to search: learning_rate 0.005 to 1 on a log scale, hidden 4 to
128, batch_size 8 to 256, alpha 1e-6 to 1 on a log scale."""


@hookimpl
def datasets() -> Mapping[str, Callable[[], Iterator[Mapping[str, Any]]]]:
    return {"few_digits": few_digits}


def few_digits() -> Iterator[Mapping[str, Any]]:
    """Return the first rows of the dataset `digits`: enough to learn from, and quick to read."""
    from trialrun_reference.digits import generate_digit_rows

    return islice(generate_digit_rows(), FEW)


def train(run: Run, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> str:
    """Train one network and return the folder of its artifact."""
    training = _Training(run, dataset, hyperparameter, checkpoint)
    for result in training.run_epochs():
        run.set_progress(result["epoch"], training.settings["epochs"], "train")
    training.log_misread()
    return str(training.output)


def tune(hyperparameter: dict[str, Any], run: Run, dataset: Any, checkpoint: dict[str, Any] | None) -> dict[str, Any]:
    """Run one trial: a result and a checkpoint after every epoch; the objectives are `accuracy` and `loss`.

    A paused trial is called again later, with its last reported checkpoint as `checkpoint`.
    """
    training = _Training(run, dataset, hyperparameter, checkpoint)
    result: dict[str, Any] = {}
    for result in training.run_epochs():
        run.report(result, checkpoint=training.output)
    training.log_misread()
    return result


class _Training:
    """One network in training: its data, its progress and its artifact."""

    def __init__(
        self, run: Run, dataset: Any, hyperparameter: Mapping[str, Any], checkpoint: Mapping[str, Any] | None
    ) -> None:
        self.run = run
        self.output = Path(run.checkpoint_output)
        run.checkpoint_output = self.output  # before training starts, so that a stopped trial has its artifact too
        saved = _read_artifact(Path(checkpoint["path"])) if checkpoint else None
        self.settings = resolve_settings(HYPERPARAMETERS, hyperparameter, saved.settings if saved else None)
        self.x, self.y = load_images(dataset, "train")
        self.x_held_out, self.y_held_out = load_images(dataset, "validation")
        self.epoch = saved.epoch if saved else 0
        self.network = self._build_network(saved)

    def _build_network(self, saved: _Saved | None) -> MLPClassifier:
        network = MLPClassifier(
            hidden_layer_sizes=(self.settings["hidden"],),
            activation=self.settings["activation"],
            solver="sgd",
            momentum=0.0,
            alpha=self.settings["alpha"],
            batch_size=min(self.settings["batch_size"], len(self.x)),
            learning_rate_init=self.settings["learning_rate"],
            shuffle=False,  # shuffled here by seed and epoch, because scikit-learn would repeat one order in each epoch
            random_state=self.run.seed % 2**32,
        )
        if saved:
            size = network.batch_size
            network.partial_fit(self.x[:size], self.y[:size], classes=LABELS)  # creates the layers to fill
            network.coefs_[:], network.intercepts_[:] = saved.coefs, saved.intercepts
        return network

    def run_epochs(self) -> Iterator[dict[str, Any]]:
        """Yield the result of each epoch; a network that has had all of them is only evaluated."""
        if self.epoch >= self.settings["epochs"]:
            self.run.log_message(
                f"The checkpoint has had {self.epoch} epochs and `epochs` is {self.settings['epochs']} in all: "
                f"nothing to train. Give more than {self.epoch} to train it further.",
                "warning",
            )
            yield self._record_epoch(None)
        while self.epoch < self.settings["epochs"]:
            yield self._record_epoch(self._train_epoch())

    def _train_epoch(self) -> float:
        """Go through the training rows once; give the mean loss over them."""
        order = np.random.default_rng([self.run.seed % 2**32, self.epoch]).permutation(len(self.x))
        with np.errstate(all="ignore"):  # a rate that is too high is reported below, once
            try:
                self.network.partial_fit(self.x[order], self.y[order], classes=LABELS)
            except ValueError as error:
                rate = self.settings["learning_rate"]
                raise ArithmeticError(
                    f"epoch {self.epoch + 1}: the weights are no longer finite at learning_rate={rate}. Try a lower one"
                ) from error
        self.epoch += 1
        return float(self.network.loss_)

    def _record_epoch(self, train_loss: float | None) -> dict[str, Any]:
        chances = self.network.predict_proba(self.x_held_out)
        truth = chances[np.arange(len(chances)), self.y_held_out]
        result = {
            "loss": float(-np.log(truth.clip(1e-12)).mean()),
            "accuracy": float((chances.argmax(axis=1) == self.y_held_out).mean()),
            "epoch": self.epoch,
        }
        if train_loss is not None:
            result["train_loss"] = train_loss
            self.run.log_metric("train", "loss", train_loss, epoch=self.epoch)
        for key in ("loss", "accuracy"):
            self.run.log_metric("validation", key, result[key], epoch=self.epoch)
        _write_artifact(self.output, self.network, self.epoch, self.settings, result)
        return result

    def log_misread(self) -> None:
        """Log one picture of the held-out digits that the network reads wrongly, if there are any."""
        read = self.network.predict(self.x_held_out)
        wrong = np.flatnonzero(read != self.y_held_out)
        if not len(wrong):
            return
        shown = wrong[:48]
        self.run.log_visualization(
            "validation",
            "misread digits",
            0,
            _tile_images(self.x_held_out[shown]),
            epoch=self.epoch,
            misread=len(wrong),
            labels=self.y_held_out[shown].tolist(),
            read_as=read[shown].tolist(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    """The content of an artifact."""

    epoch: int
    settings: dict[str, Any]
    coefs: list[Array]
    intercepts: list[Array]


def _write_artifact(
    folder: Path, network: MLPClassifier, epoch: int, settings: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    layers = {f"coefs_{i}": layer for i, layer in enumerate(network.coefs_)}
    layers |= {f"intercepts_{i}": layer for i, layer in enumerate(network.intercepts_)}
    np.savez(folder / "weights.npz", **layers)
    about = {"epoch": epoch, "hyperparameter": dict(settings), "metrics": dict(result)}
    (folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _read_artifact(folder: Path) -> _Saved:
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    with np.load(folder / "weights.npz", allow_pickle=False) as layers:
        kinds = [[layers[f"{kind}_{i}"] for i in range(2)] for kind in ("coefs", "intercepts")]
    return _Saved(epoch=about["epoch"], settings=about["hyperparameter"], coefs=kinds[0], intercepts=kinds[1])


def _tile_images(images: Array, columns: int = 12, scale: int = 6) -> Array:
    """Put the images side by side on one sheet, in 0..255, with a dark frame around each."""
    rows = math.ceil(len(images) / columns)
    cells = np.full((rows * columns, SIDE * scale + 2, SIDE * scale + 2), 64, dtype=np.uint8)
    grey = (images * 255).round().astype(np.uint8).reshape(-1, SIDE, SIDE)
    cells[: len(images), 1:-1, 1:-1] = grey.repeat(scale, axis=1).repeat(scale, axis=2)
    side = cells.shape[1]
    return cells.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
