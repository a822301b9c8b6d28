"""Training mode: the plugin called once, its artifact registered as the model."""

from __future__ import annotations

import contextlib
import copy
import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.backend.client import Client
from trialrun.checkpoints import Artifact, resolve_artifact
from trialrun.engine.event_bus import EventBus
from trialrun.engine.uploads import PluginOrigin, artifact_roots
from trialrun.executors.trial import choose_checkpoint, open_spool
from trialrun.executors.workspace import change_directory, get_hidden_stderr, seed_all, tee_output
from trialrun.job_run import EventEmitter, JobRun
from trialrun.plugins import Plugin
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import CheckpointRecord, copy_checkpoint, list_checkpoints, write_checkpoint_record
from trialrun.run_dir.spool import SPOOL_LIMIT
from trialrun_hookspecs.errors import TrainingFailed, TrialrunError
from trialrun_hookspecs.request import Params
from trialrun_hookspecs.results import JobResult

__all__ = ["run_training"]


def run_training(
    plugin: Plugin,
    params: Params,
    *,
    hub: EventBus,
    client: Client,
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    folder: Path,
    job_id: int,
    run_key: str,
    seed: int,
    origin: PluginOrigin,
    spool_limit: int | None = SPOOL_LIMIT,
    restore: CheckpointRecord | None = None,
) -> JobResult:
    """One model, trained, uploaded and registered.

    Raises TrainingFailed: the plugin raised, or its artifact cannot be used.
    """
    work = folder / layout.TRAIN_DIR
    work.mkdir(exist_ok=True)
    writer, attempt = open_spool(folder / layout.SPOOL_DIR, layout.TRAIN_DIR, spool_limit)
    with writer:
        prefix = f"{run_key}-train-"
        emit = EventEmitter(writer.write, job_id=job_id, trial_id=None, prefix=f"{prefix}{attempt}")
        last = _resume_attempt(work, emit, attempt, prefix) or restore
        run = JobRun(
            emit,
            name=params.name,
            job_id=job_id,
            trial_id=None,
            seed=seed,
            folder=work,
            on_checkpoint=_CheckpointKeeper(work, attempt, emit).keep_checkpoint,
            reports=last.iteration if last else 0,
        )
        given = choose_checkpoint(checkpoint, Path(last.path) if last else None)
        returned = _call_plugin(plugin, params, run, dataset, given, work, seed)
    artifact = _resolve_output(returned, run, [work, *artifact_roots(folder)])
    hub.drain()
    hub.emit_progress("train", 1, 1)
    hub.emit_progress("model_upload", 0, 2)
    upload = client.upload_artifact(artifact.path)
    hub.emit_progress("model_upload", 1, 2)
    model_id = client.create_model(
        name=params.name,
        plugin=origin.plugin,
        version=origin.version,
        checkpoint=params.checkpoint,
        chunked_upload=upload,
        configuration={"hyperparameter": params.hyperparameter},
        description=params.description,
        key=f"{run_key}-model",
    )
    hub.emit(events.model_event(model_id, None, params.name))
    hub.emit_progress("model_upload", 2, 2)
    return JobResult(model_id=model_id, job_id=job_id, seed=seed, results_dir=str(folder))


def _resume_attempt(work: Path, emit: EventEmitter, attempt: int, prefix: str) -> CheckpointRecord | None:
    """The newest complete checkpoint of an attempt that was cut off; tells what is done again."""
    if not attempt:
        return None
    found = list_checkpoints(work)
    last = found[-1] if found else None
    after = (last.attempt, last.number) if last else None
    emit(events.resume_event(None, attempt, last.iteration if last else 0, prefix, after))
    return last


class _CheckpointKeeper:
    """Keeps a copy of the newest checkpoint: the plugin may write over its own, and die while it does."""

    def __init__(self, work: Path, attempt: int, emit: EventEmitter) -> None:
        self._work = work
        self._attempt = attempt
        self._emit = emit

    def keep_checkpoint(self, checkpoint: Path, number: int, metrics: dict[str, Any]) -> None:
        before = list_checkpoints(self._work)
        target = copy_checkpoint(checkpoint, self._work / layout.checkpoint_name(number))
        mark = CheckpointRecord(
            path=str(target),
            iteration=number,
            attempt=self._attempt,
            number=self._emit.event_count - 1,
            metrics=events.to_plain(metrics, "report", "null"),
            report={},
        )
        write_checkpoint_record(self._work, mark)
        for older in before:
            if older.path != mark.path:
                shutil.rmtree(older.path, ignore_errors=True)


def _call_plugin(
    plugin: Plugin,
    params: Params,
    run: JobRun,
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    work: Path,
    seed: int,
) -> Any:
    hyperparameter = copy.deepcopy(params.hyperparameter)
    with contextlib.ExitStack() as stack:
        stack.enter_context(change_directory(work))
        stack.enter_context(tee_output(work))
        seed_all(seed)
        try:
            return plugin.train(run, dataset, hyperparameter, checkpoint)
        except (Exception, SystemExit) as error:
            traceback.print_exc(file=get_hidden_stderr())
            got = f"{type(error).__name__}: {error}"
            fix = f"The traceback is in {work / 'stderr'}."
            raise TrainingFailed("train() raised", where=f"plugin {plugin.name!r}", got=got, fix=fix) from error


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
