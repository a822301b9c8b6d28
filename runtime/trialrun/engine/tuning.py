"""Tuning mode: a study run, its models collected, the best one named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trialrun.backend.client import Client
from trialrun.engine.event_bus import Hub
from trialrun.engine.study_listener import StudyEars
from trialrun.engine.uploads import Origin, Uploads, artifact_roots, sendable
from trialrun.executors.base import Executor, Study, StudyOutcome
from trialrun.outcomes import best
from trialrun.run_dir.checkpoints import marks
from trialrun.run_dir.history import TrialOutcome
from trialrun.run_dir.journal import Journal
from trialrun.trials import TrialTable
from trialrun_hookspecs.errors import AllTrialsFailed, JobInterrupted, Problem, TrialFailed
from trialrun_hookspecs.results import BestTrial, JobResult, TrialFailure, TrialModel

__all__ = ["GO_ON", "tune"]

GO_ON = "Go on with: trialrun resume "


def tune(study: Study, executor: Executor, *, hub: Hub, client: Client, origin: Origin) -> JobResult:
    """Run the study. Raises AllTrialsFailed, or JobInterrupted after everything was recorded."""
    journal = Journal(study.results)
    uploads = Uploads(
        client,
        study.params,
        origin,
        run_key=study.run_key,
        roots=artifact_roots(study.results),
        emit=hub.emit,
        models=study.past.models,
        made=journal.model,
    )
    table = TrialTable(study.tune_config.metric, study.space.names)
    whole = not client.is_recorder()
    ears = StudyEars(table, hub, uploads, total=study.total, whole_tables=whole, journal=journal)
    hub.message(_opening(study, executor))
    try:
        outcome = _executed(study, executor, ears, uploads)
        if not outcome.interrupted:
            journal.over(outcome.ended_by)
        models, reasons = _models(uploads, hub)
    finally:
        uploads.close()
        ears.flush()
        journal.close()
    _refuse_failure(study, outcome)
    chosen = _chosen(study, outcome)
    if chosen is not None:
        client.override_best(
            study.job_id, chosen.trial_id, chosen.config, key=f"{study.run_key}-best-{chosen.trial_id}"
        )
        ears.flush(chosen.trial_id)
    hub.progress("trials", len(outcome.trials), len(outcome.trials))
    hub.progress("train", 1, 1)
    hub.progress("model_upload", 1, 1)
    return _result(study, outcome, chosen, models, reasons, [*ears.warnings, *outcome.warnings])


def _opening(study: Study, executor: Executor) -> str:
    if not study.past.configs:
        return f"starting {study.total} trials on the {executor.name} executor"
    over = len(study.past.configs) - len(study.go_on)
    return f"going on: {over} trials are over, {len(study.go_on)} go on, {study.left} are still to be made"


def _executed(study: Study, executor: Executor, ears: StudyEars, uploads: Uploads) -> StudyOutcome:
    """What the executor makes of what is left, together with what is over."""
    past = study.past
    ears.recall(past, study.go_on)
    over = {trial_id: past.outcomes[trial_id] for trial_id in past.configs if trial_id not in study.go_on}
    for trial_id, outcome in over.items():
        if trial_id not in past.models and outcome.status == "TERMINATED" and outcome.metrics:
            uploads.add(outcome)
    if past.configs and not study.go_on and not study.left:
        return StudyOutcome(trials=tuple(over.values()), ended_by=past.ended_by)
    for trial_id, iteration, metrics in _unheard(study):
        ears.reported(trial_id, iteration, metrics)
    new = executor.execute(study, ears)
    ran = {outcome.trial_id: outcome for outcome in new.trials}
    order = [*past.configs, *(trial_id for trial_id in ran if trial_id not in past.configs)]
    known = {**over, **ran}
    return replace(new, trials=tuple(known[trial_id] for trial_id in order if trial_id in known))


def _unheard(study: Study) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Reports whose checkpoints are complete, but which the driver did not live to hear."""
    heard: dict[str, int] = {}
    for trial_id, iteration, _ in study.past.results:
        heard[trial_id] = max(iteration, heard.get(trial_id, 0))
    for trial_id in study.go_on:
        for mark in marks(study.folders.of(trial_id))[-1:]:
            if mark.iteration > heard.get(trial_id, 0):
                yield trial_id, mark.iteration, mark.report


def _models(uploads: Uploads, hub: Hub) -> tuple[dict[str, TrialModel], dict[str, str]]:
    hub.progress("model_upload", uploads.done, max(len(uploads), 1) + 1)
    models, reasons = uploads.results()
    for trial_id, reason in reasons.items():
        hub.message(f"trial {trial_id}: {reason}", "warning")
    return models, reasons


def _refuse_failure(study: Study, outcome: StudyOutcome) -> None:
    if outcome.interrupted:
        done = sum(trial.status in ("TERMINATED", "ERROR") and not trial.ended_by for trial in outcome.trials)
        got = f"{done} of {study.total} trials had ended"
        raise JobInterrupted("interrupted", where="the study", got=got, fix=f"{GO_ON}{study.results}")
    if not outcome.trials:
        why = f"0 of {study.total}" + (f"; it was ended by {outcome.ended_by}" if outcome.ended_by else "")
        log = study.results / "ray.log"
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


def _chosen(study: Study, outcome: StudyOutcome) -> TrialOutcome | None:
    trials = [(trial.trial_id, trial.status, trial.metrics) for trial in outcome.trials if trial.metrics]
    winner = best(trials, study.tune_config.metric, study.tune_config.mode)
    return next((trial for trial in outcome.trials if trial.trial_id == winner), None)


def _result(
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
            metrics=sendable(chosen.metrics),
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
