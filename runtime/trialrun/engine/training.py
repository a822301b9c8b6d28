"""Training mode: the plugin called once, its artifact registered as the model."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.backend.client import Client
from trialrun.checkpoints import Artifact, resolve_artifact
from trialrun.engine.event_bus import EventBus
from trialrun.engine.preflight import PreparedJob
from trialrun.engine.uploads import PluginOrigin, artifact_roots
from trialrun.executors.attempt import Attempt, AttemptSpec, open_attempt, override_checkpoint
from trialrun.job_run import JobRun
from trialrun.plugins import Plugin
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import CheckpointRecord, copy_checkpoint, list_checkpoints
from trialrun.run_dir.record import RunRecord
from trialrun_hookspecs.errors import TrainingFailed, TrialrunError
from trialrun_hookspecs.request import Params
from trialrun_hookspecs.results import JobResult

__all__ = ["run_training"]


def run_training(
    prepared: PreparedJob,
    record: RunRecord,
    folder: Path,
    *,
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    restore: CheckpointRecord | None,
    bus: EventBus,
    client: Client,
    origin: PluginOrigin,
) -> JobResult:
    """Train one model, upload it and register it.

    Raises TrainingFailed: the plugin raised, or its artifact cannot be used.
    """
    spec = AttemptSpec(
        job_id=record.job_id,
        run_key=record.run_key,
        trial_id=None,
        spool_name=layout.TRAIN_DIR,
        seed=prepared.seed,
        folder=folder / layout.TRAIN_DIR,
        spool_dir=folder / layout.SPOOL_DIR,
        run_config=record.run_config,
    )
    params = prepared.params
    artifact = _train(spec, prepared.plugin, params, dataset, checkpoint, restore)
    bus.drain()
    bus.emit_progress("train", 1, 1)
    bus.emit_progress("model_upload", 0, 2)
    upload = client.upload_artifact(artifact.path)
    bus.emit_progress("model_upload", 1, 2)
    model_id = client.create_model(
        name=params.name,
        plugin=origin.plugin,
        version=origin.version,
        checkpoint=params.checkpoint,
        chunked_upload=upload,
        configuration={"hyperparameter": params.hyperparameter},
        description=params.description,
        key=f"{record.run_key}-model",
    )
    bus.emit(events.model_event(model_id, None, params.name))
    bus.emit_progress("model_upload", 2, 2)
    return JobResult(model_id=model_id, job_id=record.job_id, seed=prepared.seed, results_dir=str(folder))


def _train(
    spec: AttemptSpec,
    plugin: Plugin,
    params: Params,
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    restore: CheckpointRecord | None,
) -> Artifact:
    """Return the artifact of one attempt, which resumes from the newest complete checkpoint, or begins at `restore`."""
    with open_attempt(spec) as attempt:
        start = restore
        if attempt.number:
            newest = list_checkpoints(spec.folder)[-1:]
            attempt.emit_resumed(newest[0] if newest else None)
            start = newest[0] if newest else restore
        run = JobRun(
            attempt.emit,
            name=params.name,
            job_id=spec.job_id,
            trial_id=None,
            seed=spec.seed,
            folder=spec.folder,
            on_checkpoint=partial(_keep_checkpoint, attempt),
            reports=start.iteration if start else 0,
        )
        given = override_checkpoint(checkpoint, Path(start.path) if start else None)
        hyperparameter = copy.deepcopy(params.hyperparameter)
        try:
            returned = attempt.call_plugin(
                lambda: plugin.train(run, dataset, hyperparameter, given), failures=(Exception, SystemExit)
            )
        except (Exception, SystemExit) as error:
            got = f"{type(error).__name__}: {error}"
            fix = f"The traceback is in {spec.folder / 'stderr'}."
            raise TrainingFailed("train() raised", where=f"plugin {plugin.name!r}", got=got, fix=fix) from error
    return _resolve_output(returned, run, [spec.folder, *artifact_roots(spec.folder.parent)])


def _keep_checkpoint(attempt: Attempt, checkpoint: Path, number: int, metrics: dict[str, Any]) -> None:
    """Keep a copy of the newest checkpoint: the plugin may overwrite its own, and die while it does."""
    folder = attempt.spec.folder
    before = list_checkpoints(folder)
    target = str(copy_checkpoint(checkpoint, folder / layout.checkpoint_name(number)))
    attempt.record_checkpoint(target, number, metrics=metrics, report={})
    for older in before:
        if older.path != target:
            shutil.rmtree(older.path, ignore_errors=True)


def _resolve_output(returned: Any, run: JobRun, roots: Sequence[Path]) -> Artifact:
    declared = returned if returned is not None else run.declared_output
    try:
        kept: list[tuple[Path, dict[str, Any]]] = [(run.last_checkpoint, {})] if run.last_checkpoint is not None else []
        artifact = resolve_artifact(declared=declared, in_metrics={}, kept=kept, metric=None, mode="max", roots=roots)
    except TrialrunError as error:
        raise TrainingFailed(problems=error.problems) from error
    if artifact is None:
        fix = "Return the path of the model's file or folder."
        raise TrainingFailed("train() must return the path of its artifact", where="train()", got="None", fix=fix)
    return artifact
