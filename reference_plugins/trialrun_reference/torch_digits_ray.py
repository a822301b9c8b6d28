"""The network of `torch_digits`, each trial trained by several workers of Ray Train at once.

    trialrun run examples/distributed_digits.json --plugin torch_digits_ray --dataset 1=digits

A trial starts Ray's `TorchTrainer`, whose workers share the batches and average their gradients. The first worker
reports for the trial, through Ray's `TuneReportCallback`. Ray Train reserves the workers' resources itself, so the job
gives a trial little (`num_cpus: 0.1`) and limits with `max_concurrent_trials` how many have workers at a time.

Hyperparameters are those of `torch_digits`, and `workers` (2). A worker uses a GPU when the trial was given one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trialrun_hookspecs import BadValue, hookimpl
from trialrun_reference import torch_digits
from trialrun_reference.digit_images import SIDE, load_images
from trialrun_reference.hyperparameters import resolve_settings

if TYPE_CHECKING:
    from trialrun_hookspecs import Run

__all__ = ["WORKERS", "datasets", "train", "tune"]

WORKERS = 2


@hookimpl
def datasets() -> Mapping[str, Callable[[], Iterator[Mapping[str, Any]]]]:
    return {"few_digits": torch_digits.few_digits}


def train(run: Run, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> str:
    """Train in one process; only trials use several workers."""
    alone = {name: value for name, value in hyperparameter.items() if name != "workers"}
    return torch_digits.train(run, dataset, alone, checkpoint)


def tune(hyperparameter: dict[str, Any], run: Run, dataset: Any, checkpoint: dict[str, Any] | None) -> None:
    """Run one trial on workers of its own."""
    from ray.train import CheckpointConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    given = dict(hyperparameter)
    workers = given.pop("workers", WORKERS)
    if type(workers) is not int or workers < 1:
        where = "hyperparameter 'workers'"
        raise BadValue("must be a whole number of at least 1", where=where, got=repr(workers))
    output = Path(run.checkpoint_output)
    run.checkpoint_output = output
    saved = torch_digits.read_artifact(Path(checkpoint["path"])) if checkpoint else None
    loop = {
        "saved": saved,
        "settings": resolve_settings(torch_digits.HYPERPARAMETERS, given, saved.settings if saved else None),
        "seed": run.seed,
        "rows": {category: load_images(dataset, category) for category in ("train", "validation")},
    }
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config=loop,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=torch.cuda.is_available()),
        run_config=RunConfig(
            name="workers",
            storage_path=str(Path.cwd()),  # the trial's own folder
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]  # annotated for the Ray Train of before
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    last = trainer.fit().checkpoint
    if last is not None:
        with last.as_directory() as folder:
            shutil.copytree(folder, output, dirs_exist_ok=True)


def _train_worker(config: dict[str, Any]) -> None:
    """Train in one worker on its share of every batch, with gradients averaged over all workers."""
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    device, given, saved = ray.train.torch.get_device(), config["settings"], config["saved"]
    torch.manual_seed(config["seed"])
    plain = torch_digits.build_network(given["channels"])
    if saved:
        plain.load_state_dict(saved.weights)
    network = ray.train.torch.prepare_model(plain)
    optimizer = torch.optim.SGD(network.parameters(), lr=given["learning_rate"], momentum=given["momentum"])
    (x, y), held_out = (_make_tensors(config["rows"][category], device) for category in ("train", "validation"))
    for epoch in range(saved.epoch + 1 if saved else 1, given["epochs"] + 1):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(config["seed"] + epoch))
        for batch in order.split(given["batch_size"] * context.get_world_size()):
            mine = batch[context.get_world_rank() :: context.get_world_size()].to(device)
            if len(batch) < context.get_world_size():
                continue  # the rest is too small for all workers, and none may step alone
            loss = nn.functional.cross_entropy(network(x[mine]), y[mine])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _report_epoch(network, held_out, epoch, given, context)


def _report_epoch(
    network: nn.Module, held_out: tuple[torch.Tensor, torch.Tensor], epoch: int, given: Mapping[str, Any], context: Any
) -> None:
    """Report from every worker, as Ray Train requires; the first passes the metrics and the checkpoint."""
    import ray.train

    if context.get_world_rank() != 0:
        ray.train.report({})
        return
    x, y = held_out
    plain = getattr(network, "module", network)  # without the wrapper that averages the gradients
    with torch.no_grad():
        scores = plain(x)
    result = {
        "loss": float(nn.functional.cross_entropy(scores, y)),
        "accuracy": float((scores.argmax(dim=1) == y).double().mean()),
        "epoch": epoch,
        "workers": context.get_world_size(),
    }
    with tempfile.TemporaryDirectory() as folder:
        torch_digits.write_artifact(Path(folder), plain.state_dict(), {}, epoch, given)
        ray.train.report(result, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _make_tensors(rows: tuple[Any, Any], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = rows
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, SIDE, SIDE)
    return x.to(device), torch.tensor(labels, dtype=torch.long).to(device)
