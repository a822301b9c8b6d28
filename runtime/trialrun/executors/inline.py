"""Trials one after another in this process, without Ray: for debuggers and fast checks."""

from __future__ import annotations

import contextlib
import platform
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.executors.attempt import Attempt
from trialrun.executors.base import Listener, Study, StudyOutcome, no_local_ray
from trialrun.executors.exports import Exports
from trialrun.executors.result_fields import TrialClock
from trialrun.executors.search_replay import replay_search
from trialrun.executors.stop_rules import StopRules
from trialrun.executors.stoppers import isolate_stoppers
from trialrun.executors.study_outcome import build_study_outcome, read_stderr_tail
from trialrun.executors.trial import (
    TrialSpec,
    build_trial_spec,
    check_result,
    find_artifact,
    run_trial,
)
from trialrun.outcomes import objective_value
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import copy_checkpoint, list_checkpoints, prune_checkpoints
from trialrun.run_dir.history import TrialOutcome
from trialrun.search import create_algorithm
from trialrun.search.base import Algorithm
from trialrun.space import nest_values
from trialrun_hookspecs.errors import RequestInvalid
from trialrun_hookspecs.request import TuneConfig
from trialrun_hookspecs.results import FailureCause

__all__ = ["InlineExecutor"]

_SESSION_MODULE = "ray.train._internal.session"


class _TrialStopped(SystemExit):
    """A rule ended the trial: unwinds the plugin as Ray does."""


class InlineSession:
    """A trial in this process."""

    def __init__(
        self,
        trial_id: str,
        folder: Path,
        rules: StopRules,
        listener: Listener,
        spec: TrialSpec,
        exports: Exports,
        config: TuneConfig,
        *,
        again: bool,
    ) -> None:
        self.trial_id = trial_id
        self.reported: dict[str, Any] = {}
        self.attempt: Attempt
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self._folder = folder
        self._rules = rules
        self._listener = listener
        self._spec = spec
        self._again = again
        self._exports = exports
        self._clock = TrialClock(trial_id)
        self._keep, self._mode = config.checkpoints, config.mode
        self._iteration = 0

    def report(self, metrics: dict[str, Any], checkpoint: Path | None) -> None:
        plain = events.to_plain(metrics, "report", "keep")
        check_result(plain, self._spec, self, checkpoint=checkpoint is not None)
        self._iteration += 1
        self._listener.on_report(self.trial_id, self._iteration, plain)
        if checkpoint is not None:
            path = str(copy_checkpoint(checkpoint, self._folder / layout.checkpoint_name(self._iteration)))
            self.kept.append((path, dict(self.reported)))
            self.attempt.record_checkpoint(path, self._iteration, metrics=self.reported, report=plain)
            self.kept = prune_checkpoints(
                self.kept, self._keep.keep, self._keep.by or self._spec.metric, self._keep.mode or self._mode
            )
        result = {**plain, **self._clock.build_fields(self._iteration, plain)}
        self._exports.write_result(self.trial_id, result)
        if self._rules.check_trial(self.trial_id, result) or self._rules.ended_by:
            raise _TrialStopped

    def restore_checkpoint(self) -> Path | None:
        found = list_checkpoints(self._folder)
        if not found or not self._again:
            return None
        self._iteration, self.reported = found[-1].iteration, dict(found[-1].metrics)
        self.kept = [(mark.path, mark.metrics) for mark in found]
        return Path(found[-1].path)

    def start_at(self, iteration: int) -> None:
        self._iteration = iteration


class InlineExecutor:
    """Runs a study without Ray. `ray.tune.report` works in it where Ray is installed."""

    name = "inline"

    def __init__(self) -> None:
        self._exports = Exports(())

    def check_study(self, study: Study) -> None:
        scheduler = study.tune_config.scheduler
        if scheduler.name != "fifo":
            fix = "Use --executor ray, or the scheduler fifo."
            where = "params.tune_config.scheduler"
            raise RequestInvalid(
                "the inline executor runs every trial to its end", where=where, got=scheduler.name, fix=fix
            )
        if study.run_config.local_resources:
            raise no_local_ray(study.run_config.local_resources, "the inline executor uses no Ray")
        create_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())
        study.manager.stoppers()

    def execute(self, study: Study, listener: Listener) -> StudyOutcome:
        algorithm = replay_search(study)
        stoppers = isolate_stoppers(study.manager.stoppers(), listener.warn)
        rules = StopRules(
            study.tune_config, time.monotonic, threading.Event(), history=study.history, stoppers=stoppers
        )
        self._exports = Exports(study.tune_config.loggers)
        outcomes: list[TrialOutcome] = []
        for trial_id, config in self._generate_trials(study, rules, algorithm):
            outcome = self._run_attempts(study, listener, rules, trial_id, config)
            value = None if outcome.error else objective_value(outcome.metrics, study.tune_config.metric)
            algorithm.tell(trial_id, value)
            rules.record_trial_end(value)
            outcomes.append(outcome)
            if rules.interrupted.is_set() or (outcome.error and study.tune_config.fail_fast):
                break
        if self._exports.errors:
            listener.warn(f"{len(self._exports.errors)} result(s) were not exported: {self._exports.errors[0]!r}")
        return build_study_outcome(study, outcomes, rules)

    def _generate_trials(
        self, study: Study, rules: StopRules, algorithm: Algorithm
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those that go on, and then new ones, for as long as no rule ends the study."""
        for trial_id in study.resumed:
            if rules.ended_by:
                return
            yield trial_id, study.history.configs[trial_id]
        made = len(study.history.configs)
        for number in range(made, made + study.remaining):
            trial_id = f"{study.run_key[:5]}_{number:05d}"
            point = None if rules.ended_by else algorithm.ask(trial_id)
            if point is None:
                return
            yield trial_id, study.space.try_complete_values(study.space.decode(point))

    def _run_attempts(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any]
    ) -> TrialOutcome:
        listener.on_start(trial_id, config)
        self._exports.start_trial(trial_id, study.trial_folders.find_folder(trial_id, config), config)
        left, again = study.tune_config.max_failures, trial_id in study.resumed
        while True:
            outcome = self._run_attempt(study, listener, rules, trial_id, config, again=again)
            if not outcome.error or left == 0:
                break
            left, again = left - 1, True
            listener.warn(f"trial {trial_id} failed and is started again: {outcome.error}")
        listener.on_status(trial_id, outcome.status)
        listener.on_end(outcome)
        self._exports.finish_trial(trial_id, outcome.metrics)
        return outcome

    def _run_attempt(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any], *, again: bool
    ) -> TrialOutcome:
        spec = build_trial_spec(study, capture=False)
        folder = study.trial_folders.find_folder(trial_id, config)
        session = InlineSession(trial_id, folder, rules, listener, spec, self._exports, study.tune_config, again=again)
        listener.on_status(trial_id, "RUNNING")
        error = text = ended_by = ""
        cause: FailureCause = ""
        try:
            with _ray_session(session, folder):
                run_trial(spec, study.plugin, nest_values(config), study.dataset, study.checkpoint, session)
        except _TrialStopped:
            ended_by = rules.reasons.get(trial_id) or rules.ended_by
        except KeyboardInterrupt:
            rules.interrupted.set()
            ended_by = rules.ended_by
        except (Exception, SystemExit) as raised:  # noqa: BLE001  # whatever the plugin raises fails its trial only
            error = "\n".join([f"{type(raised).__name__}: {raised}", *getattr(raised, "__notes__", ())])
            text = traceback.format_exc()
            cause = "exited" if isinstance(raised, SystemExit) else "raised"
        return TrialOutcome(
            trial_id=trial_id,
            status="ERROR" if error else "TERMINATED",
            config=config,
            metrics=session.reported,
            logdir=folder,
            error=error,
            traceback=text,
            kept=tuple(session.kept),
            declared=find_artifact(folder),
            ended_by=ended_by,
            cause=cause,
            node=platform.node() if error else "",
            stderr=read_stderr_tail(folder, spec.output_files) if error else "",
        )


@contextlib.contextmanager
def _ray_session(session: InlineSession, folder: Path) -> Iterator[None]:
    """Let `ray.tune.report`, `get_checkpoint` and `get_context` work in this process, without a running Ray.

    Ray has no public way since local_mode is gone: its module-level session is a private name, guarded by a test for
    every Ray version. Where the plugin has not imported Ray there is nothing to do until it does.
    """
    ray_session = types.SimpleNamespace(
        report=lambda metrics, checkpoint=None: session.report(dict(metrics), _get_checkpoint_path(checkpoint)),
        loaded_checkpoint=None,
        world_rank=None,
        trial_id=session.trial_id,
        trial_name=f"trialrun_trial_{session.trial_id}",
        trial_dir=str(folder),
        trial_resources=None,
        experiment_name="inline",
    )
    finder = _SessionFinder(ray_session)
    sys.meta_path.insert(0, finder)
    finder.set_session()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.clear_session()


def _get_checkpoint_path(checkpoint: Any) -> Path | None:
    return None if checkpoint is None else Path(checkpoint.path)


class _SessionFinder:
    """Places the session when Ray's module is there already, or as soon as the plugin imports it."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _SESSION_MODULE:
            return None
        import importlib.machinery

        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                module._session = self._session  # noqa: SLF001  # see _ray_session

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # this one loader object only
        return spec

    def set_session(self) -> None:
        if _SESSION_MODULE in sys.modules:
            sys.modules[_SESSION_MODULE]._session = self._session  # type: ignore[attr-defined]  # noqa: SLF001  # see _ray_session

    def clear_session(self) -> None:
        module: Any = sys.modules.get(_SESSION_MODULE)
        if module is not None and module._session is self._session:  # noqa: SLF001  # see _ray_session
            module._session = None  # noqa: SLF001  # see _ray_session
