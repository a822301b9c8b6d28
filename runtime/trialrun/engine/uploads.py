"""Uploads of trial models, in the background while the study continues."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.backend.client import Client
from trialrun.checkpoints import Artifact, resolve_artifact
from trialrun.plugins.class_trainable import UNSAVED_MARKER
from trialrun.run_dir.history import TrialOutcome
from trialrun_hookspecs.errors import ArtifactMissing, TrialrunError
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.request import Params
from trialrun_hookspecs.results import TrialModel

__all__ = ["ModelUploads", "PluginOrigin", "artifact_roots", "find_artifact", "serialize_metrics"]

SAVE_TIMEOUT_S = 60.0


class PluginOrigin:
    """The plugin and version under which the backend registers models."""

    def __init__(self, plugin: str, version: str) -> None:
        self.plugin = plugin
        self.version = version


def artifact_roots(results: Path) -> list[Path]:
    """Return the folders from which a job may read artifacts: results, current folder, temporary folder."""
    return [results, Path.cwd(), Path(tempfile.gettempdir())]


def find_artifact(outcome: TrialOutcome, params: Params, roots: Sequence[Path]) -> Artifact | None:
    """Return the artifact of a trial; its checkpoint where an early stop prevented the declared one.

    Raises ArtifactMissing: the artifact is absent or empty, or lies outside every one of `roots`.
    """
    metric, mode = params.tuning.metric, params.tuning.mode

    def resolve_from(declared: str | None, metrics: Mapping[str, Any]) -> Artifact | None:
        return resolve_artifact(
            declared=declared, in_metrics=metrics, kept=outcome.kept, metric=metric, mode=mode, roots=roots
        )

    try:
        return resolve_from(outcome.declared, outcome.metrics)
    except ArtifactMissing:
        declared = Path(str(outcome.metrics.get("checkpoint_output", outcome.declared)))
        if not outcome.kept or declared.exists():
            raise
        return resolve_from(None, {key: value for key, value in outcome.metrics.items() if key != "checkpoint_output"})


class ModelUploads:
    """Registers one model per trial, two at a time; `wait_for_models()` waits for all of them."""

    def __init__(
        self,
        client: Client,
        params: Params,
        origin: PluginOrigin,
        *,
        run_key: str,
        roots: Sequence[Path],
        emit: Callable[[Event], None],
        models: Mapping[str, TrialModel] | None = None,
        on_model: Callable[[TrialModel], None] = lambda model: None,
    ) -> None:
        self._models = dict(models or {})  # those that earlier runs registered
        self._on_model = on_model
        self._client = client
        self._params = params
        self._origin = origin
        self._run_key = run_key
        self._roots = roots
        self._emit = emit
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="trialrun-upload")
        self._pending: dict[str, Future[TrialModel | None]] = {}

    def add(self, outcome: TrialOutcome) -> None:
        self._pending[outcome.trial_id] = self._pool.submit(self._upload_model, outcome)

    @property
    def ready_count(self) -> int:
        return sum(future.done() for future in self._pending.values())

    def __len__(self) -> int:
        return len(self._pending)

    def wait_for_models(self) -> tuple[dict[str, TrialModel], dict[str, str]]:
        """Return the models by trial id, and by trial id why the others have none."""
        models, reasons = dict(self._models), {}
        for trial_id, future in self._pending.items():
            try:
                model = future.result()
            except TrialrunError as error:
                reasons[trial_id] = str(error)
                continue
            if model is None:
                reasons[trial_id] = "it set no checkpoint_output and reported no checkpoint, so it has no model"
            else:
                models[trial_id] = model
        return models, reasons

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _upload_model(self, outcome: TrialOutcome) -> TrialModel | None:
        if outcome.ended_by:
            _wait_until_saved(outcome.logdir / UNSAVED_MARKER)
        artifact = find_artifact(outcome, self._params, self._roots)
        if artifact is None:
            return None
        upload = self._client.upload_artifact(artifact.path)
        name = f"{self._params.name}_{outcome.trial_id}"
        model_id = self._client.create_model(
            name=name,
            plugin=self._origin.plugin,
            version=self._origin.version,
            checkpoint=self._params.checkpoint,
            chunked_upload=upload,
            configuration=_build_configuration(self._params, outcome),
            description=self._params.description,
            key=f"{self._run_key}-model-{outcome.trial_id}",
        )
        self._emit(events.model_event(model_id, outcome.trial_id, name))
        model = TrialModel(
            model_id=model_id,
            trial_id=outcome.trial_id,
            trial_logdir=str(outcome.logdir),
            config=outcome.config,
            metrics=serialize_metrics(outcome.metrics),
        )
        self._on_model(model)
        return model


def _wait_until_saved(unsaved: Path) -> None:
    """Wait while a stopped trial saves in its worker, at most SAVE_TIMEOUT_S: a trial that died never does."""
    end = time.monotonic() + SAVE_TIMEOUT_S
    while unsaved.exists() and time.monotonic() < end:
        time.sleep(0.05)


def serialize_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics for JSON: NaN and infinities become None, `checkpoint_output` is left out."""
    shown = {key: value for key, value in metrics.items() if key != "checkpoint_output"}
    return dict(events.to_plain(shown, "metrics", "null"))


def _build_configuration(params: Params, outcome: TrialOutcome) -> dict[str, Any]:
    return {
        "hyperparameters": [d.model_dump(mode="json") for d in params.hyperparameters or ()],
        "tune_config": params.tuning.model_dump(mode="json", exclude_none=True),
        "tune_trial": {
            "trial_id": outcome.trial_id,
            "config": outcome.config,
            "metrics": serialize_metrics(outcome.metrics),
            "logdir": str(outcome.logdir),
        },
    }
