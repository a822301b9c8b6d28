"""Tuning mode: a study run, its models collected, the best one named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trialrun.backend.client import Client
from trialrun.engine.event_bus import EventBus
from trialrun.engine.study_listener import StudyListener
from trialrun.engine.uploads import ModelUploads, PluginOrigin, artifact_roots, serialize_metrics
from trialrun.executors.base import Executor, Study, StudyOutcome
from trialrun.outcomes import find_best_trial
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import list_checkpoints
from trialrun.run_dir.history import TrialOutcome
from trialrun.run_dir.journal import Journal
from trialrun.trials import TrialTable
from trialrun_hookspecs.errors import AllTrialsFailed, JobInterrupted, Problem, TrialFailed
from trialrun_hookspecs.results import BestTrial, JobResult, TrialFailure, TrialModel

__all__ = ["RESUME_HINT", "run_study"]

RESUME_HINT = "Go on with: trialrun resume "


def run_study(study: Study, executor: Executor, *, bus: EventBus, client: Client, origin: PluginOrigin) -> JobResult:
    """Run the study. Raises AllTrialsFailed, or JobInterrupted after everything was recorded."""
    journal = Journal(study.results)
    uploads = ModelUploads(
        client,
        study.params,
        origin,
        run_key=study.run_key,
        roots=artifact_roots(study.results),
        emit=bus.emit,
        models=study.history.models,
        made=journal.record_model,
    )
    table = TrialTable(study.tune_config.metric, study.space.names)
    whole = not client.is_recorder()
    ears = StudyListener(table, bus, uploads, total=study.total, whole_tables=whole, journal=journal)
    bus.emit_message(_opening_message(study, executor))
    try:
        outcome = _execute_remaining(study, executor, ears, uploads)
        if not outcome.interrupted:
            journal.record_end(outcome.ended_by)
        models, reasons = _collect_models(uploads, bus)
    finally:
        uploads.close()
        ears.flush()
        journal.close()
    _raise_on_failure(study, outcome)
    chosen = _choose_best(study, outcome)
    if chosen is not None:
        client.override_best(
            study.job_id, chosen.trial_id, chosen.config, key=f"{study.run_key}-best-{chosen.trial_id}"
        )
        ears.flush(chosen.trial_id)
    bus.emit_progress("trials", len(outcome.trials), len(outcome.trials))
    bus.emit_progress("train", 1, 1)
    bus.emit_progress("model_upload", 1, 1)
    return _build_result(study, outcome, chosen, models, reasons, [*ears.warnings, *outcome.warnings])


def _opening_message(study: Study, executor: Executor) -> str:
    if not study.history.configs:
        return f"starting {study.total} trials on the {executor.name} executor"
    over = len(study.history.configs) - len(study.resumed)
    return f"going on: {over} trials are over, {len(study.resumed)} go on, {study.remaining} are still to be made"


def _execute_remaining(study: Study, executor: Executor, ears: StudyListener, uploads: ModelUploads) -> StudyOutcome:
    """What the executor makes of what is left, together with what is over."""
    history = study.history
    ears.restore_history(history, study.resumed)
    over = {trial_id: history.outcomes[trial_id] for trial_id in history.configs if trial_id not in study.resumed}
    for trial_id, outcome in over.items():
        if trial_id not in history.models and outcome.status == "TERMINATED" and outcome.metrics:
            uploads.add(outcome)
    if history.configs and not study.resumed and not study.remaining:
        return StudyOutcome(trials=tuple(over.values()), ended_by=history.ended_by)
    for trial_id, iteration, metrics in _find_lost_reports(study):
        ears.on_report(trial_id, iteration, metrics)
    new = executor.execute(study, ears)
    ran = {outcome.trial_id: outcome for outcome in new.trials}
    order = [*history.configs, *(trial_id for trial_id in ran if trial_id not in history.configs)]
    known = {**over, **ran}
    return replace(new, trials=tuple(known[trial_id] for trial_id in order if trial_id in known))


def _find_lost_reports(study: Study) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Reports whose checkpoints are complete, but which the driver did not live to hear."""
    heard: dict[str, int] = {}
    for trial_id, iteration, _ in study.history.results:
        heard[trial_id] = max(iteration, heard.get(trial_id, 0))
    for trial_id in study.resumed:
        for mark in list_checkpoints(study.trial_folders.find_folder(trial_id))[-1:]:
            if mark.iteration > heard.get(trial_id, 0):
                yield trial_id, mark.iteration, mark.report


def _collect_models(uploads: ModelUploads, bus: EventBus) -> tuple[dict[str, TrialModel], dict[str, str]]:
    bus.emit_progress("model_upload", uploads.ready_count, max(len(uploads), 1) + 1)
    models, reasons = uploads.wait_for_models()
    for trial_id, reason in reasons.items():
        bus.emit_message(f"trial {trial_id}: {reason}", "warning")
    return models, reasons


def _raise_on_failure(study: Study, outcome: StudyOutcome) -> None:
    if outcome.interrupted:
        done = sum(trial.status in ("TERMINATED", "ERROR") and not trial.ended_by for trial in outcome.trials)
        got = f"{done} of {study.total} trials had ended"
        raise JobInterrupted("interrupted", where="the study", got=got, fix=f"{RESUME_HINT}{study.results}")
    if not outcome.trials:
        why = f"0 of {study.total}" + (f"; it was ended by {outcome.ended_by}" if outcome.ended_by else "")
        log = study.results / layout.RAY_LOG
        fix = f"{log} has what Ray said." if log.exists() else "See whether the search algorithm suggests anything."
        raise AllTrialsFailed("no trial has run", where="the study", got=why, fix=fix)
    failed = [trial for trial in outcome.trials if trial.status == "ERROR"]
    if failed and study.tune_config.fail_fast == "raise":
        where = f"trial {failed[0].trial_id} {failed[0].config}"
        raise TrialFailed(failed[0].error, where=where, fix=f"Its folder is {failed[0].logdir}.")
    if failed and len(failed) == len(outcome.trials):
        raise AllTrialsFailed(
            problems=[
                Problem(where="the study", rule=f"all {len(failed)} trials failed", fix="Their folders hold stderr."),
                *(Problem(where=f"trial {trial.trial_id} {trial.config}", rule=trial.error) for trial in failed),
            ]
        )


def _choose_best(study: Study, outcome: StudyOutcome) -> TrialOutcome | None:
    trials = [(trial.trial_id, trial.status, trial.metrics) for trial in outcome.trials if trial.metrics]
    winner = find_best_trial(trials, study.tune_config.metric, study.tune_config.mode)
    return next((trial for trial in outcome.trials if trial.trial_id == winner), None)


def _build_result(
    study: Study,
    outcome: StudyOutcome,
    chosen: TrialOutcome | None,
    models: Mapping[str, TrialModel],
    reasons: Mapping[str, str],
    warnings: list[str],
) -> JobResult:
    failures = [
        TrialFailure(
            trial_id=trial.trial_id,
            status=trial.status,
            error=trial.error,
            traceback=trial.traceback,
            cause=trial.cause,
            node=trial.node,
            stderr=trial.stderr,
        )
        for trial in outcome.trials
        if trial.error
    ]
    failures += [
        TrialFailure(trial_id=trial.trial_id, status=trial.status, error=reasons[trial.trial_id])
        for trial in outcome.trials
        if trial.trial_id in reasons
    ]
    model = models.get(chosen.trial_id) if chosen else None
    return JobResult(
        model_id=model.model_id if model else None,
        best_trial=None
        if chosen is None
        else BestTrial(
            trial_id=chosen.trial_id,
            trial_logdir=str(chosen.logdir),
            config=chosen.config,
            metrics=serialize_metrics(chosen.metrics),
        ),
        trial_models=[models[trial.trial_id] for trial in outcome.trials if trial.trial_id in models],
        failures=failures,
        job_id=study.job_id,
        seed=study.seed,
        results_dir=str(study.results),
        ended_by=outcome.ended_by,
        ended_early={trial.trial_id: trial.ended_by for trial in outcome.trials if trial.ended_by},
        warnings=warnings,
    )
