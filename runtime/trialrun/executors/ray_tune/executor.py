"""A study on Ray Tune."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray import tune
from ray.tune import Stopper

from trialrun.executors.base import Listener, Study, StudyOutcome, no_local_ray
from trialrun.executors.capacity import build_resource_request
from trialrun.executors.ray_tune import cluster
from trialrun.executors.ray_tune.callback import IsolatedCallback, ListeningCallback
from trialrun.executors.ray_tune.mutations import build_mutation_options
from trialrun.executors.ray_tune.resume import ResumedTrials, replay_scheduler
from trialrun.executors.ray_tune.schedulers import RAY_REFUSES, SCHEDULERS, make_scheduler
from trialrun.executors.ray_tune.searcher import AskTellSearcher
from trialrun.executors.ray_tune.shared_dir import check_shared
from trialrun.executors.ray_tune.space import build_param_space
from trialrun.executors.ray_tune.trainable import build_trainable, ship_by_value
from trialrun.executors.search_replay import replay_search
from trialrun.executors.stop_rules import StopRules
from trialrun.executors.stoppers import isolate_stoppers
from trialrun.executors.study_outcome import build_study_outcome
from trialrun.executors.trial import build_trial_spec
from trialrun.run_dir import layout
from trialrun.search import GRID_ALGORITHM, create_algorithm, parse_points
from trialrun.space import nest_values
from trialrun_hookspecs.errors import Problem, RequestInvalid, UsageError
from trialrun_hookspecs.request import TuneConfig
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["RayExecutor"]


class _Stopper(Stopper):
    """Our rules as Tune asks for them."""

    def __init__(self, rules: StopRules) -> None:
        self._rules = rules

    def __deepcopy__(self, memo: dict[int, Any]) -> _Stopper:
        return self

    def __reduce__(self) -> Any:  # Tune pickles its own state; the rules stay here
        return (tune.stopper.NoopStopper, ())

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(self._rules.check_trial(trial_id, result))

    def stop_all(self) -> bool:
        return bool(self._rules.ended_by)


class RayExecutor:
    """Runs a study's trials as Ray actors, on a local Ray or a cluster."""

    name = "ray"

    def check_study(self, study: Study) -> None:
        scheduler = study.tune_config.scheduler
        known = [*SCHEDULERS, *study.manager.schedulers()]
        if scheduler.name not in known:
            fix = did_you_mean(scheduler.name, known) or f"Known: {', '.join(known)}."
            where = "params.tune_config.scheduler.name"
            raise RequestInvalid("no such scheduler", where=where, got=repr(scheduler.name), fix=fix)
        problems = _collect_problems(lambda: _build_algorithm(study))
        told = any(problem.where.startswith("params.tune_config.scheduler") for problem in problems)
        for problem in _collect_problems(lambda: _build_scheduler(study)):
            if not (told and RAY_REFUSES in problem.rule):  # it would say in its own words what is said already
                problems.append(problem)
        if problems:
            raise RequestInvalid(problems=problems)
        study.manager.stoppers()  # a wrong answer is refused now
        if not ray.is_initialized():
            address = cluster.resolve_address(study.run_config.address)
            cluster.check_reachable(address)
            if address is None:
                cluster.check_local_capacity(build_resource_request(study.params), study.run_config.local_resources)
            elif study.run_config.local_resources:
                raise no_local_ray(study.run_config.local_resources, f"this study joins {address!r}")
        if study.tune_config.legacy_train_report and ray.is_initialized():
            fix = "Let trialrun start or join Ray, or set RAY_TRAIN_V2_ENABLED=0 before Ray is started."
            raise UsageError("legacy_train_report comes too late for a Ray that runs in this process", fix=fix)

    def execute(self, study: Study, listener: Listener) -> StudyOutcome:
        study.results.mkdir(parents=True, exist_ok=True)
        interrupted = threading.Event()
        environment = {"RAY_TRAIN_V2_ENABLED": "0"} if study.tune_config.legacy_train_report else {}
        with (
            cluster.redirect_logs(study.results / layout.RAY_LOG),
            cluster.connect_ray(study.run_config.address, study.run_config.local_resources, environment),
            cluster.set_tune_environment(),
            _handle_interrupts(interrupted, listener),
        ):
            cluster.check_cluster_capacity(build_resource_request(study.params))
            check_shared(study.results)
            return _fit_study(study, listener, interrupted)


def _collect_problems(make: Callable[[], object]) -> list[Problem]:
    try:
        make()
    except RequestInvalid as refused:
        return list(refused.problems)
    return []


def _build_placement(study: Study) -> tune.PlacementGroupFactory:
    """Room for a trial and for its workers, taken together: what a trial starts lands in its own placement group."""
    need = build_resource_request(study.params)
    return tune.PlacementGroupFactory([dict(need.trial), *map(dict, need.workers)], strategy=need.strategy)


def _fit_study(study: Study, listener: Listener, interrupted: threading.Event) -> StudyOutcome:
    stoppers = isolate_stoppers(study.manager.stoppers(), listener.warn)
    rules = StopRules(study.tune_config, time.monotonic, interrupted, history=study.history, stoppers=stoppers)
    ears = ListeningCallback(study, listener, rules)
    theirs = [IsolatedCallback(callback, listener.warn) for _, callback in study.manager.trial_callbacks()]
    config, search = study.tune_config, _build_search(study)
    limit = config.max_concurrent_trials
    again = bool(study.history.configs)
    scheduler = replay_scheduler(_build_scheduler(study), study)
    tuner = tune.Tuner(
        tune.with_resources(_build_trainable(study), _build_placement(study)),
        param_space=build_param_space(study.space) if _is_ray_search(study) else {},
        tune_config=tune.TuneConfig(
            metric=config.metric,
            mode=config.mode,
            num_samples=max(study.remaining, 1) if again and not _is_ray_search(study) else config.num_samples,
            max_concurrent_trials=None if again else limit,
            search_alg=ResumedTrials(search, study, limit=limit) if again else search,
            scheduler=scheduler,
            reuse_actors=config.reuse_actors,
            trial_dirname_creator=_name_trial_folder,
        ),
        run_config=tune.RunConfig(
            name=layout.RAY_DIR,
            storage_path=str(study.results.absolute()),
            verbose=0,
            stop=_Stopper(rules),
            callbacks=[ears, *theirs],
            checkpoint_config=_build_checkpoint_config(config),
            failure_config=tune.FailureConfig(max_failures=config.max_failures, fail_fast=bool(config.fail_fast)),
        ),
    )
    try:
        tuner.fit()
    finally:
        ears.finish_trials()
        if isinstance(search, AskTellSearcher):
            search.close()
    if ears.errors:
        listener.warn(f"{len(ears.errors)} error(s) while recording the study, the first: {ears.errors[0]!r}")
    return build_study_outcome(study, [ears.outcomes[trial_id] for trial_id in ears.trials], rules)


def _build_checkpoint_config(config: TuneConfig) -> Any:
    keep = config.checkpoints
    if keep.keep is None:
        return tune.CheckpointConfig()
    return tune.CheckpointConfig(
        num_to_keep=keep.keep,
        checkpoint_score_attribute=keep.by or config.metric,
        checkpoint_score_order=keep.mode or config.mode,
    )


def _name_trial_folder(trial: Any) -> str:
    return str(trial.trial_id)


def _build_trainable(study: Study) -> Any:
    recipe = study.plugin.get_recipe()
    if recipe is None:
        ship_by_value(study.plugin.code)
    handed = study.plugin if recipe is None else recipe
    return build_trainable(build_trial_spec(study, capture=True), handed, study.dataset, study.checkpoint)


def _is_ray_search(study: Study) -> bool:
    return study.tune_config.search_alg.name == GRID_ALGORITHM


def _build_search(study: Study) -> Any:
    """Random and grid search are Ray's own; everything else asks one of our algorithms."""
    config = study.tune_config
    if _is_ray_search(study):
        points = [nest_values(point) for point in parse_points(study.params)]
        return tune.search.BasicVariantGenerator(
            points_to_evaluate=points or None, random_state=study.seed, max_concurrent=config.max_concurrent_trials or 0
        )
    return AskTellSearcher(replay_search(study), study.space, metric=config.metric, mode=config.mode)


def _build_algorithm(study: Study) -> Any:
    return create_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())


def _build_scheduler(study: Study) -> Any:
    config = study.tune_config
    extensions = study.manager.schedulers()
    return make_scheduler(
        config.scheduler.name,
        config.scheduler.options,
        extensions,
        metric=config.metric,
        mode=config.mode,
        mutations=build_mutation_options(study.params, study.space),
    )


@contextlib.contextmanager
def _handle_interrupts(interrupted: threading.Event, listener: Listener) -> Iterator[None]:
    """Ctrl-C once ends the study at the next result of each trial; twice ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(number: int, frame: Any) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        listener.warn("interrupted: trials stop at their next report. Press Ctrl-C again to stop at once.")

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGINT, request_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
