"""The trial as Ray runs it: a function, and a look at every result on its way out."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import ray
from ray import tune
from ray.tune.result import RESULT_DUPLICATE, SHOULD_CHECKPOINT
from ray.tune.trainable.function_trainable import wrap_function

from trialrun.executors.attempt import Attempt
from trialrun.executors.gpus import wait_for_gpu
from trialrun.executors.trial import PluginExited, TrialSpec, check_result, run_trial
from trialrun.plugins import Plugin, load_recipe
from trialrun.trials import RESULT_KEYS

__all__ = ["RaySession", "build_trainable", "select_own_metrics", "ship_by_value"]


def select_own_metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the plugin reported, without what Ray adds to it."""
    return {key: value for key, value in result.items() if key not in RESULT_KEYS and not key.startswith("__")}


class RaySession:
    """A trial in a Ray worker; one at a time in each process."""

    current: RaySession | None = None

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.trial_id = tune.get_context().get_trial_id()
        self.reported: dict[str, Any] = {}
        self.attempt: Attempt
        self.ahead = 0  # reports that it made in an earlier run, which Ray knows nothing of

    def report(self, metrics: dict[str, Any], checkpoint: Path | None) -> None:
        if checkpoint is None:
            tune.report(metrics)
            return
        folder = checkpoint if checkpoint.is_dir() else _copy_to_folder(checkpoint)
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(str(folder)))

    def restore_checkpoint(self) -> Path | None:
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            mark = self.spec.resume_points.get(self.trial_id)
            if mark is None:
                return None
            self.ahead, self.reported = mark.iteration, dict(mark.metrics)
            return Path(mark.path)
        local = Path(checkpoint.path)
        return local if local.exists() else Path(checkpoint.to_directory())

    def start_at(self, iteration: int) -> None:
        self.ahead = iteration


def _copy_to_folder(file: Path) -> Path:
    """Ray's checkpoints are folders: a file gets one of its own."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="checkpoint-", dir=file.parent))
    shutil.copy2(file, folder)
    return folder


def _trialrun_trial(config: dict[str, Any], spec: Any, plugin: Any, dataset: Any, checkpoint: Any) -> None:
    session = RaySession.current = RaySession(spec)
    logging.getLogger("ray").setLevel(logging.WARNING)  # else a line per checkpoint in the trial's stderr
    gpus = ray.get_gpu_ids()
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves the parent's value when no GPU was asked for
    elif spec.wait_for_gpu_s is not None:
        wait_for_gpu(gpus, spec.gpus, spec.wait_for_gpu_s, where=f"trial {session.trial_id!r}")
    loaded = plugin if isinstance(plugin, Plugin) else load_recipe(plugin)
    if loaded.has_save_options:  # it saves when it is told to stop, for which Tune would wait two seconds
        os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")
    if isinstance(plugin, Plugin) or plugin.kind == "path" or plugin.root:
        ship_by_value(loaded.code)  # workers that the trial starts could not import it
    faulthandler.enable(2)  # a crash is told in the trial's stderr
    try:
        run_trial(spec, loaded, config, dataset, checkpoint, session)
    except SystemExit as error:
        if _is_stop_request(error):
            raise
        fix = "Return, or raise an exception that says what is wrong."
        raise PluginExited(
            "the plugin called sys.exit()", where=f"trial {session.trial_id!r}", got=repr(error.code), fix=fix
        ) from None


def _is_stop_request(error: SystemExit) -> bool:
    """Ray ends a trial's function, when it stops the trial, by a SystemExit out of `report`."""
    innermost = list(traceback.walk_tb(error.__traceback__))[-1][0]
    return innermost.f_globals.get("__name__") == "ray.train._internal.session"


def ship_by_value(code: Any) -> None:
    """A plugin's module may not be importable in a worker (a test module, a script, a file): send its code along."""
    name = code.__name__ if isinstance(code, ModuleType) else getattr(code, "__module__", None) or type(code).__module__
    module = sys.modules.get(name)
    if module is not None and "site-packages" not in (getattr(module, "__file__", None) or "site-packages"):
        with contextlib.suppress(ValueError):  # __main__ travels by value anyway
            ray.cloudpickle.register_pickle_by_value(module)


def build_trainable(spec: TrialSpec, plugin: Any, dataset: Any, checkpoint: Any) -> Any:
    """The class that Tune runs. `plugin` is a recipe or a live one; data goes through the object store."""
    function = tune.with_parameters(_trialrun_trial, spec=spec, plugin=plugin, dataset=dataset, checkpoint=checkpoint)
    base: Any = wrap_function(function, name="trialrun_trial")

    class TrialrunTrial(base):  # type: ignore[misc]  # made at run time
        """Looks at every result in the worker: the function thread waits until `step` has returned it."""

        def step(self) -> dict[str, Any]:
            result: dict[str, Any] = super().step()
            session = RaySession.current
            if session is not None and RESULT_DUPLICATE not in result:
                has_checkpoint = bool(result.get(SHOULD_CHECKPOINT))
                check_result(select_own_metrics(result), session.spec, session, checkpoint=has_checkpoint)
                self._iteration: int = self._iteration + session.ahead
                session.ahead = 0
                if has_checkpoint:
                    path = f"{self._storage.trial_fs_path}/{result['checkpoint_dir_name']}"
                    number = self._iteration + 1  # this report is not counted yet
                    session.attempt.record_checkpoint(
                        path, number, metrics=session.reported, report=select_own_metrics(result)
                    )
            return result

    TrialrunTrial.__name__ = "trialrun_trial"
    return TrialrunTrial
