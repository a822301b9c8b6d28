"""A plugin with PyTorch: a small convolutional network that reads handwritten digits, on the GPU of its trial if any.

Made for the dataset of `trialrun_reference.digits`, like `sklearn_digits`. It shows the duties of a plugin on a machine
with GPUs:

- It uses the GPU that its trial was given, or the CPU: CUDA shows no other GPU.
- Mixed precision is for CUDA only, so that on a CPU one seed gives the same numbers every time.
- The artifact is a folder: `model.safetensors` with weights and momentum, read without pickle, and `model.json`. A
  paused trial, or a model that is trained further, continues as without the interruption: `epochs` counts from the
  first start.
- Worker processes are reused, so a trial frees the GPU's memory when it ends, for whatever reason.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trialrun_hookspecs import hookimpl
from trialrun_reference.digit_images import SIDE, load_images
from trialrun_reference.hyperparameters import Rule, make_count_rule, make_number_rule, resolve_settings

if TYPE_CHECKING:
    from trialrun_hookspecs import Run

__all__ = [
    "HYPERPARAMETERS",
    "Saved",
    "Training",
    "build_network",
    "conformance",
    "datasets",
    "few_digits",
    "read_artifact",
    "release_on_exit",
    "train",
    "tune",
    "write_artifact",
]

conformance = {  # used by `trialrun check`, some forty times
    "dataset": "few_digits",
    "hyperparameter": {"epochs": 2, "learning_rate": 0.1, "channels": 4, "batch_size": 32},
    "hyperparameters": [
        {"name": "learning_rate", "type": "uniform", "min": 0.05, "max": 0.2},
        {"name": "epochs", "type": "choice", "options": [2]},
        {"name": "channels", "type": "choice", "options": [2, 4]},
    ],
    "metric": "accuracy",
    "mode": "max",
    "capabilities": ["tunes", "resumes", "deterministic"],
}

FEW = 150


HYPERPARAMETERS: Mapping[str, Rule] = {
    "epochs": make_count_rule(),
    "learning_rate": make_number_rule("a finite number above 0", lambda value: value > 0),
    "momentum": make_number_rule("a number of at least 0 and below 1", lambda value: 0 <= value < 1, 0.9),
    "channels": make_count_rule(8, fixed=True),
    "batch_size": make_count_rule(32),
}
"""The settings, with the rule for each. Good ranges to search: learning_rate 0.005 to 0.2 on a log scale, channels 4
to 64, batch_size 16 to 256."""


@hookimpl
def datasets() -> Mapping[str, Callable[[], Iterator[Mapping[str, Any]]]]:
    return {"few_digits": few_digits}


def few_digits() -> Iterator[Mapping[str, Any]]:
    """Return the first rows of the dataset `digits`."""
    from trialrun_reference.digits import generate_digit_rows

    return islice(generate_digit_rows(), FEW)


def train(run: Run, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> str:
    """Train one network and return the folder of its artifact."""
    with release_on_exit(Training(run, dataset, hyperparameter, checkpoint)) as training:
        for result in training.run_epochs():
            run.set_progress(result["epoch"], training.settings["epochs"], "train")
        return str(training.output)


def tune(hyperparameter: dict[str, Any], run: Run, dataset: Any, checkpoint: dict[str, Any] | None) -> dict[str, Any]:
    """Run one trial: a result and a checkpoint after every epoch; the objectives are `accuracy` and `loss`."""
    result: dict[str, Any] = {}
    with release_on_exit(Training(run, dataset, hyperparameter, checkpoint)) as training:
        for result in training.run_epochs():
            run.report(result, checkpoint=training.output)
    return result


def build_network(channels: int) -> nn.Module:
    """Return an untrained network for images of 8x8: two convolutions and a linear layer."""
    half = SIDE // 2
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * half * half, 10),
    )


class Training:
    """One network in training: its data, its device, its progress and its artifact."""

    def __init__(
        self, run: Run, dataset: Any, hyperparameter: Mapping[str, Any], checkpoint: Mapping[str, Any] | None
    ) -> None:
        self.run = run
        self.output = Path(run.checkpoint_output)
        run.checkpoint_output = self.output  # before training starts, so that a stopped trial has its artifact too
        saved = read_artifact(Path(checkpoint["path"])) if checkpoint else None
        self.settings = resolve_settings(HYPERPARAMETERS, hyperparameter, saved.settings if saved else None)
        self.epoch = saved.epoch if saved else 0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # the first it sees
        self.x, self.y = _load_tensors(dataset, "train", self.device)
        self.x_held_out, self.y_held_out = _load_tensors(dataset, "validation", self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            self.network = build_network(self.settings["channels"]).to(self.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=self.settings["learning_rate"], momentum=self.settings["momentum"]
        )
        if saved:
            self._restore_state(saved)

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

    def _select_precision(self) -> torch.autocast:
        on = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=on)

    def _train_epoch(self) -> float:
        """Go through the training rows once; give the mean loss over them."""
        order = torch.from_numpy(np.random.default_rng([self.run.seed % 2**32, self.epoch]).permutation(len(self.x)))
        total = torch.zeros((), device=self.device)  # read once at the end: each read waits for the GPU
        for chosen in order.to(self.device).split(self.settings["batch_size"]):
            with self._select_precision():
                loss = nn.functional.cross_entropy(self.network(self.x[chosen]), self.y[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(chosen)
        self.epoch += 1
        mean = float(total) / len(self.x)
        if not math.isfinite(mean):
            rate = self.settings["learning_rate"]
            raise ArithmeticError(f"epoch {self.epoch}: the loss is {mean} at learning_rate={rate}. Try a lower one")
        return mean

    def _record_epoch(self, train_loss: float | None) -> dict[str, Any]:
        with torch.no_grad():
            scores = self.network(self.x_held_out)
        result = {
            "loss": float(nn.functional.cross_entropy(scores, self.y_held_out)),
            "accuracy": float((scores.argmax(dim=1) == self.y_held_out).double().mean()),
            "epoch": self.epoch,
        }
        if train_loss is not None:
            result["train_loss"] = train_loss
            self.run.log_metric("train", "loss", train_loss, epoch=self.epoch)
        for key in ("loss", "accuracy"):
            self.run.log_metric("validation", key, result[key], epoch=self.epoch)
        self._write_artifact()
        return result

    def _write_artifact(self) -> None:
        buffers = {name: self.optimizer.state[w].get("momentum_buffer") for name, w in self.network.named_parameters()}
        momentum = {name: buffer for name, buffer in buffers.items() if buffer is not None}
        write_artifact(self.output, self.network.state_dict(), momentum, self.epoch, self.settings)

    def _restore_state(self, saved: Saved) -> None:
        """Restore an artifact's weights and momentum."""
        self.network.load_state_dict(saved.weights)
        for name, weight in self.network.named_parameters():
            if name in saved.momentum:
                self.optimizer.state[weight]["momentum_buffer"] = saved.momentum[name].to(self.device)


@contextmanager
def release_on_exit(training: Training) -> Iterator[Training]:
    """Use the training on one thread of the CPU, and free its memory of a GPU at the end, for whatever reason.

    An exception keeps the frames that it passed through, and with them all their variables, so the training is emptied
    and not only dropped.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as fast for so small a network, and sums are the same on every machine
    try:
        yield training
    finally:
        torch.set_num_threads(threads)
        on_gpu = training.device.type == "cuda"
        for name in ("network", "optimizer", "x", "y", "x_held_out", "y_held_out"):
            delattr(training, name)
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()  # otherwise other trials could not use the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The content of an artifact, in the memory of the CPU. `momentum` is empty before the first step."""

    epoch: int
    settings: dict[str, Any]
    weights: dict[str, Any]
    momentum: dict[str, Any]


def write_artifact(
    folder: Path, weights: Mapping[str, Any], momentum: Mapping[str, Any], epoch: int, given: Mapping[str, Any]
) -> None:
    """Write the artifact: tensors as safetensors, which cannot contain code, and the rest as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"weights.{name}": tensor for name, tensor in weights.items()}
    tensors |= {f"momentum.{name}": tensor for name, tensor in momentum.items()}
    save_file(tensors, folder / "model.safetensors")
    about = {"epoch": epoch, "hyperparameter": dict(given)}
    (folder / "model.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def read_artifact(folder: Path) -> Saved:
    """Return the content of an artifact that `write_artifact` wrote."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    parts: dict[str, dict[str, Any]] = {"weights": {}, "momentum": {}}
    for name, tensor in load_file(folder / "model.safetensors").items():
        kind, _, rest = name.partition(".")
        parts[kind][rest] = tensor
    return Saved(epoch=about["epoch"], settings=about["hyperparameter"], **parts)


def _load_tensors(dataset: Any, category: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = load_images(dataset, category)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, SIDE, SIDE)  # a copy: the images are read-only
    return x.to(device), torch.tensor(labels, dtype=torch.long).to(device)
