"""Hooks made from classes in the style of `ray.tune.Trainable`: setup, steps, checkpoints, cleanup."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

__all__ = ["UNSAVED_MARKER", "accepts_save_options", "is_class_trainable", "make_hook_functions"]

UNSAVED_MARKER = "unsaved"
"""The name of a file that exists until a trial has saved its final state: the upload of its model waits for that."""

_COUNT = "iteration.json"  # in a checkpoint's folder: the number of steps before it
_STATE = "returned.json"  # the dict that `save_checkpoint` returned, if it did
_SAVE_OPTIONS_FLAG = "trialrun_steps"


def is_class_trainable(candidate: object) -> TypeGuard[type[Any]]:
    """Return whether an object is a class with `setup(config)` and `step()`."""
    return inspect.isclass(candidate) and all(callable(getattr(candidate, name, None)) for name in ("setup", "step"))


def accepts_save_options(function: Callable[..., Any]) -> bool:
    """Return whether a function was made from a class, and takes the options `every` and `at_end`."""
    return bool(getattr(function, _SAVE_OPTIONS_FLAG, False))


def make_hook_functions(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    """Return `train` and `tune` functions that run the class until it reports `done` or is stopped."""

    def train(run: Any, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> str:
        return _run_steps(kind, run, dataset, hyperparameter, checkpoint, every=0, at_end=True)

    def tune(
        hyperparameter: dict[str, Any],
        run: Any,
        dataset: Any,
        checkpoint: dict[str, Any] | None,
        *,
        every: int = 0,
        at_end: bool = True,
    ) -> None:
        _run_steps(kind, run, dataset, hyperparameter, checkpoint, every=every, at_end=at_end)

    setattr(tune, _SAVE_OPTIONS_FLAG, True)
    return {"train": train, "tune": tune}


def _run_steps(
    kind: type[Any],
    run: Any,
    dataset: Any,
    hyperparameter: dict[str, Any],
    checkpoint: Mapping[str, Any] | None,
    *,
    every: int,
    at_end: bool,
) -> str:
    artifact = Path(run.checkpoint_output)
    if at_end:
        run.checkpoint_output = artifact
    trainable = _create_trainable(kind, hyperparameter, dataset, artifact.parent)
    done, count = False, _load_checkpoint(trainable, checkpoint)
    unsaved = artifact.parent / UNSAVED_MARKER
    if at_end:
        unsaved.touch()
    try:
        while not done:
            result = dict(trainable.step())
            count += 1
            _set_iteration(trainable, count)
            done = bool(result.pop("done", False))
            last = done and at_end
            saved = (
                _save_checkpoint(trainable, artifact if last else Path("checkpoint"), count)
                if last or _is_save_due(every, count)
                else None
            )
            run.report(result, checkpoint=saved)
    except SystemExit:  # Ray stops a trial this way
        if at_end:
            _save_checkpoint(trainable, artifact, count)
        raise
    finally:
        unsaved.unlink(missing_ok=True)
        getattr(trainable, "cleanup", lambda: None)()
    return str(artifact)


def _is_save_due(every: int, count: int) -> bool:
    return bool(every) and count % every == 0


def _create_trainable(kind: type[Any], hyperparameter: dict[str, Any], dataset: Any, folder: Path) -> Any:
    """Return an instance after `setup`; a subclass of Ray's class calls that itself, and needs a storage folder."""
    if hasattr(kind, "default_resource_request"):
        storage = types.SimpleNamespace(trial_fs_path=str(folder), trial_working_directory=str(folder))
        return _bind_dataset(kind, dataset)(hyperparameter, storage=storage)
    trainable = kind()
    trainable.setup(hyperparameter, **_select_setup_arguments(trainable.setup, dataset))
    return trainable


def _select_setup_arguments(setup: Callable[..., Any], dataset: Any) -> dict[str, Any]:
    return {"dataset": dataset} if "dataset" in inspect.signature(setup).parameters else {}


def _bind_dataset(kind: type[Any], dataset: Any) -> type[Any]:
    """Return the class with the dataset bound to its `setup` if that takes one, as `tune.with_parameters` does."""
    if "dataset" not in inspect.signature(kind.setup).parameters:
        return kind

    def setup(self: Any, config: dict[str, Any]) -> None:
        kind.setup(self, config, dataset=dataset)

    return type(kind.__name__, (kind,), {"setup": setup})


def _load_checkpoint(trainable: Any, checkpoint: Mapping[str, Any] | None) -> int:
    if checkpoint is None:
        return 0
    folder = Path(str(checkpoint["path"]))
    returned = folder / _STATE
    trainable.load_checkpoint(json.loads(returned.read_text(encoding="utf-8")) if returned.exists() else str(folder))
    try:
        count = int(json.loads((folder / _COUNT).read_text(encoding="utf-8"))["iteration"])
    except (OSError, ValueError, KeyError, TypeError):
        count = 0
    _set_iteration(trainable, count)
    return count


def _set_iteration(trainable: Any, count: int) -> None:
    """Set the count of steps that Ray's class shows as `self.iteration` and `self.training_iteration`."""
    if hasattr(trainable, "_iteration"):
        trainable._iteration = count  # noqa: SLF001  # only Ray's own `train`, which is not called here, counts


def _save_checkpoint(trainable: Any, folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    returned = trainable.save_checkpoint(str(folder)) if hasattr(trainable, "save_checkpoint") else None
    if isinstance(returned, dict):  # Ray's class may return its state instead of writing it
        (folder / _STATE).write_text(json.dumps(returned), encoding="utf-8")
    (folder / _COUNT).write_text(json.dumps({"iteration": count}), encoding="utf-8")
    return folder
