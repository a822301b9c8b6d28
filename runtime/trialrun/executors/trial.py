"""One trial: the plugin's tune() or train() called, and what it reported and returned made into results."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trialrun import events, outcomes
from trialrun.compat import needs_checkpoints
from trialrun.executors.attempt import Attempt, AttemptSpec, open_attempt, override_checkpoint
from trialrun.executors.base import Study, derive_trial_seed
from trialrun.job_run import JobRun
from trialrun.plugins import Plugin
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import CheckpointRecord, find_checkpoint_record, list_checkpoints
from trialrun.run_dir.run_config import RunConfig
from trialrun.run_dir.trial_dirs import TrialFolders
from trialrun.space import Space, flatten_values, nest_values
from trialrun.trials import RESULT_KEYS
from trialrun_hookspecs.errors import CheckpointMissing, ObjectiveMissing, TrialFailed, TrialrunError

__all__ = [
    "PluginExited",
    "TrialSession",
    "TrialSpec",
    "build_trial_spec",
    "check_result",
    "find_artifact",
    "run_trial",
]


class PluginExited(TrialFailed):
    """The plugin called sys.exit()."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """What all trials of a study share, small enough to travel to every worker. Holds no credential."""

    name: str
    job_id: int
    run_key: str
    seed: int
    metric: str
    space: Space
    trial_folders: TrialFolders
    spool_dir: Path
    capture: bool
    output_files: tuple[str, str] | None = layout.OUTPUT_FILES
    scheduler: str = "fifo"
    time_attr: str = ""
    needs_checkpoints: bool = False
    run_config: RunConfig
    resume_points: Mapping[str, CheckpointRecord] = field(default_factory=dict)  # of trials of an earlier run
    gpus: float = 0.0
    wait_for_gpu_s: float | None = None
    restore: CheckpointRecord | None = None
    every: int = 0
    at_end: bool = True


def build_trial_spec(study: Study, *, capture: bool) -> TrialSpec:
    """What a study's trials have to know."""
    scheduler = study.tune_config.scheduler
    return TrialSpec(
        name=study.params.name,
        job_id=study.job_id,
        run_key=study.run_key,
        seed=study.seed,
        metric=study.tune_config.metric,
        space=study.space,
        trial_folders=study.trial_folders,
        spool_dir=study.spool_dir,
        capture=capture,
        output_files=study.tune_config.output_files,
        run_config=study.run_config,
        gpus=study.params.gpus,
        wait_for_gpu_s=study.tune_config.wait_for_gpu_s,
        restore=study.restore,
        every=study.tune_config.checkpoints.every or int(needs_checkpoints(scheduler)),
        at_end=study.tune_config.checkpoints.at_end,
        scheduler=scheduler.name,
        time_attr=str(scheduler.options.get("time_attr", "")),
        needs_checkpoints=needs_checkpoints(scheduler) and not study.tune_config.allow_restart,
        resume_points={
            trial_id: found[-1]
            for trial_id in study.resumed
            if (found := list_checkpoints(study.trial_folders.find_folder(trial_id)))
        },
    )


class TrialSession(Protocol):
    """A trial's executor, as the trial sees it."""

    trial_id: str
    reported: dict[str, Any]  # everything reported so far, the newest value of each key
    attempt: Attempt  # set by `run_trial`

    def report(self, metrics: dict[str, Any], checkpoint: Path | None) -> None:
        """Report one result. May raise SystemExit when the trial is to stop."""

    def restore_checkpoint(self) -> Path | None:
        """Return the checkpoint that this trial resumes from after a pause, a failure or an exploit."""

    def start_at(self, iteration: int) -> None:
        """Count reports from here: another trial made the first `iteration` ones."""


def run_trial(
    spec: TrialSpec,
    plugin: Plugin,
    config: Mapping[str, Any],
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    session: TrialSession,
) -> None:
    """Run one trial to its end. Raises what the plugin raises; its traceback is left in the trial's folder."""
    searched: dict[str, Any] = events.to_plain(config, "hyperparameter")
    flat = spec.space.try_complete_values(flatten_values(searched, spec.space.distributions))
    folder = spec.trial_folders.find_folder(session.trial_id, flat)
    folder.mkdir(parents=True, exist_ok=True)
    hyperparameter = nest_values(flat)
    (folder / layout.TRIAL_CONFIG).write_text(json.dumps(hyperparameter, indent=1), encoding="utf-8")
    with open_attempt(_build_attempt_spec(spec, session.trial_id, flat, folder)) as attempt:
        session.attempt = attempt
        resumed = _resume_session(spec, session, attempt)
        run = JobRun(
            attempt.emit,
            name=spec.name,
            job_id=spec.job_id,
            trial_id=session.trial_id,
            seed=attempt.spec.seed,
            folder=folder,
            reporter=session.report,
            on_output=lambda path: (folder / layout.OUTPUT_PATH).write_text(
                _make_relative(folder, path), encoding="utf-8"
            ),
        )

        def call() -> None:
            try:
                spec.space.complete_values(flat)  # raises for an expression that cannot be calculated
                _call_plugin(
                    spec, plugin, hyperparameter, dataset, override_checkpoint(checkpoint, resumed), run, session
                )
            except Exception as error:
                _explain_legacy_report(error)
                raise

        attempt.call_plugin(call)
        (folder / layout.FINISHED).touch()


def _build_attempt_spec(spec: TrialSpec, trial_id: str, config: Mapping[str, Any], folder: Path) -> AttemptSpec:
    return AttemptSpec(
        job_id=spec.job_id,
        run_key=spec.run_key,
        trial_id=trial_id,
        spool_name=trial_id,
        seed=derive_trial_seed(spec.seed, trial_id, config),
        folder=folder,
        spool_dir=spec.spool_dir,
        run_config=spec.run_config,
        output_files=spec.output_files,
        capture=spec.capture,
    )


def _resume_session(spec: TrialSpec, session: TrialSession, attempt: Attempt) -> Path | None:
    """Return the checkpoint that the attempt begins from; report which events it repeats."""
    own = session.restore_checkpoint()
    if attempt.number:
        record = find_checkpoint_record(attempt.spec.folder, own) if own is not None else None
        if own is None or record is not None:  # else it copies another trial's: what it did before stays
            attempt.emit_resumed(record)
    if own is not None or spec.restore is None:
        return own
    session.start_at(spec.restore.iteration)
    return Path(spec.restore.path)


def _call_plugin(
    spec: TrialSpec,
    plugin: Plugin,
    hyperparameter: dict[str, Any],
    dataset: Any,
    checkpoint: dict[str, Any] | None,
    run: JobRun,
    session: TrialSession,
) -> None:
    if plugin.has("tune"):
        saving = {"every": spec.every, "at_end": spec.at_end} if plugin.has_save_options else {}
        returned = plugin.tune(hyperparameter, run, dataset, checkpoint, **saving)
        if inspect.isgenerator(returned):
            for value in returned:
                step = outcomes.normalize_metrics(value, spec.metric)
                if step is not None:
                    session.report(step, None)
            return
        last = outcomes.normalize_metrics(returned, spec.metric)
    else:
        artifact = plugin.train(run, dataset, hyperparameter, checkpoint)
        if artifact is not None:
            run.checkpoint_output = artifact
        last = None
    _report_last(spec, last, run, session)


def _report_last(spec: TrialSpec, returned: dict[str, Any] | None, run: JobRun, session: TrialSession) -> None:
    """Report what the return value adds. The objective may also have come through log_metric alone."""
    if spec.metric not in session.reported and spec.metric not in (returned or {}) and spec.metric in run.logged:
        returned = {**(returned or {}), **run.logged}
    final = outcomes.merge_metrics(session.reported, returned)
    if final is not None:
        session.report(final, None)
    elif not session.reported and session.restore_checkpoint() is None:  # one that goes on may have reported all before
        outcomes.check_objective({}, spec.metric, session.trial_id)


def check_result(metrics: Mapping[str, Any], spec: TrialSpec, session: TrialSession, *, checkpoint: bool) -> None:
    """Look at the objective of a report, and remember what was reported; `checkpoint`: one came with it.

    The first result must hold the objective, and it must be finite in every result that holds it. The first must also
    hold what the scheduler goes by, and a checkpoint where the scheduler pauses or copies trials: Ray itself would
    start them over, or do nothing, in silence. Raises ObjectiveMissing, CheckpointMissing.
    """
    flat = events.flatten_mapping(metrics)
    if not session.reported:
        _check_first_result(flat, spec, session.trial_id, checkpoint)
    if not session.reported or spec.metric in flat:
        outcomes.check_objective(metrics, spec.metric, session.trial_id)
    session.reported.update(metrics)


def _check_first_result(flat: Mapping[str, Any], spec: TrialSpec, trial_id: str, checkpoint: bool) -> None:
    where = f"trial {trial_id!r}"
    if spec.time_attr and spec.time_attr not in flat and spec.time_attr not in RESULT_KEYS:
        rule = f"must report {spec.time_attr!r}, which {spec.scheduler} goes by (scheduler.options.time_attr)"
        fix = "Report it, or use the time_attr training_iteration."
        raise ObjectiveMissing(rule, where=where, got=", ".join(flat) or "nothing", fix=fix)
    if spec.needs_checkpoints and not checkpoint:
        rule = f"{spec.scheduler} pauses or copies trials, so a report must bring a checkpoint"
        fix = (
            "Use run.report(metrics, checkpoint=folder) and go on from checkpoint['path'], or a scheduler such as "
            "asha; tune_config.allow_restart: true lets trials start over."
        )
        raise CheckpointMissing(rule, where=where, got="none with the first report", fix=fix)


def _make_relative(folder: Path, path: str) -> str:
    """A path in the results as it is from them, so that they can be moved; another as it is."""
    results = folder.absolute().parent.parent
    return str(Path(path).relative_to(results)) if Path(path).is_relative_to(results) else path


def find_artifact(folder: Path) -> str | None:
    """Where the trial of this folder said that its artifact is; else the suggested place, if something is there."""
    try:
        text = (folder / layout.OUTPUT_PATH).read_text(encoding="utf-8")
        return str(folder.absolute().parent.parent / text)
    except FileNotFoundError:
        suggested = folder / layout.ARTIFACT
        return str(suggested) if suggested.exists() else None


def _explain_legacy_report(error: Exception) -> None:
    """Ray's error for `ray.train.report` in a trial does not say what to do: add that to it."""
    text = str(error)
    if not isinstance(error, TrialrunError) and "ray.train.report" in text and "tune" in text.lower():
        error.add_note(
            "trialrun: use run.report() or ray.tune.report() in a trial, or set tune_config.legacy_train_report: true."
        )
