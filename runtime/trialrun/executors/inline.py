"""Trials one after another in this process, without Ray: for debuggers and fast checks."""

from __future__ import annotations

import contextlib
import platform
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.executors.base import Listener, Study, StudyOutcome, no_local_ray
from trialrun.executors.exports import Exports
from trialrun.executors.result_fields import TrialClock
from trialrun.executors.search_replay import remembering
from trialrun.executors.stop_rules import StopRules
from trialrun.executors.stoppers import isolated
from trialrun.executors.study_outcome import stderr_tail, study_outcome
from trialrun.executors.trial import TrialSpec, check_result, declared_output, note_checkpoint, run_trial, spec_of
from trialrun.outcomes import objective
from trialrun.run_dir.checkpoints import copied, marks, pruned
from trialrun.run_dir.history import TrialOutcome
from trialrun.search import made_algorithm
from trialrun.search.base import Algorithm
from trialrun.space import nest
from trialrun_hookspecs.errors import RequestInvalid
from trialrun_hookspecs.request import TuneConfig
from trialrun_hookspecs.results import FailureCause

__all__ = ["InlineExecutor"]

_SESSION_MODULE = "ray.train._internal.session"


class _Stopped(SystemExit):
    """A rule ended the trial: unwinds the plugin as Ray does."""


class InlineSeat:
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
        self.attempt = 0
        self.emitted: Callable[[], int] = int
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
        plain = events.plain(metrics, "report", "keep")
        check_result(plain, self._spec, self, checkpoint=checkpoint is not None)
        self._iteration += 1
        self._listener.reported(self.trial_id, self._iteration, plain)
        if checkpoint is not None:
            path = str(copied(checkpoint, self._folder / f"checkpoint_{self._iteration:06d}"))
            self.kept.append((path, dict(self.reported)))
            note_checkpoint(self._spec, self, path, self._iteration, plain)
            self.kept = pruned(
                self.kept, self._keep.keep, self._keep.by or self._spec.metric, self._keep.mode or self._mode
            )
        result = {**plain, **self._clock.result(self._iteration, plain)}
        self._exports.reported(self.trial_id, result)
        if self._rules.trial(self.trial_id, result) or self._rules.ended_by:
            raise _Stopped

    def loaded(self) -> Path | None:
        found = marks(self._folder)
        if not found or not self._again:
            return None
        self._iteration, self.reported = found[-1].iteration, dict(found[-1].metrics)
        self.kept = [(mark.path, mark.metrics) for mark in found]
        return Path(found[-1].path)

    def begin_at(self, iteration: int) -> None:
        self._iteration = iteration


class InlineExecutor:
    """Runs a study without Ray. `ray.tune.report` works in it where Ray is installed."""

    name = "inline"

    def __init__(self) -> None:
        self._exports = Exports(())

    def preflight(self, study: Study) -> None:
        scheduler = study.tune_config.scheduler
        if scheduler.name != "fifo":
            fix = "Use --executor ray, or the scheduler fifo."
            where = "params.tune_config.scheduler"
            raise RequestInvalid(
                "the inline executor runs every trial to its end", where=where, got=scheduler.name, fix=fix
            )
        if study.local_resources:
            raise no_local_ray(study.local_resources, "the inline executor uses no Ray")
        made_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())
        study.manager.stoppers()

    def execute(self, study: Study, listener: Listener) -> StudyOutcome:
        algorithm = remembering(study)
        stoppers = isolated(study.manager.stoppers(), listener.warn)
        rules = StopRules(study.tune_config, time.monotonic, threading.Event(), past=study.past, stoppers=stoppers)
        self._exports = Exports(study.tune_config.loggers)
        outcomes: list[TrialOutcome] = []
        for trial_id, config in self._trials(study, rules, algorithm):
            outcome = self._attempts(study, listener, rules, trial_id, config)
            value = None if outcome.error else objective(outcome.metrics, study.tune_config.metric)
            algorithm.tell(trial_id, value)
            rules.trial_ended(value)
            outcomes.append(outcome)
            if rules.interrupted.is_set() or (outcome.error and study.tune_config.fail_fast):
                break
        if self._exports.errors:
            listener.warn(f"{len(self._exports.errors)} result(s) were not exported: {self._exports.errors[0]!r}")
        return study_outcome(study, outcomes, rules)

    def _trials(self, study: Study, rules: StopRules, algorithm: Algorithm) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those that go on, and then new ones, for as long as no rule ends the study."""
        for trial_id in study.go_on:
            if rules.ended_by:
                return
            yield trial_id, study.past.configs[trial_id]
        made = len(study.past.configs)
        for number in range(made, made + study.left):
            trial_id = f"{study.run_key[:5]}_{number:05d}"
            point = None if rules.ended_by else algorithm.ask(trial_id)
            if point is None:
                return
            yield trial_id, study.space.completed(study.space.decode(point))

    def _attempts(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any]
    ) -> TrialOutcome:
        listener.started(trial_id, config)
        self._exports.started(trial_id, study.folders.of(trial_id, config), config)
        left, again = study.tune_config.max_failures, trial_id in study.go_on
        while True:
            outcome = self._one(study, listener, rules, trial_id, config, again=again)
            if not outcome.error or left == 0:
                break
            left, again = left - 1, True
            listener.warn(f"trial {trial_id} failed and is started again: {outcome.error}")
        listener.status(trial_id, outcome.status)
        listener.ended(outcome)
        self._exports.ended(trial_id, outcome.metrics)
        return outcome

    def _one(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any], *, again: bool
    ) -> TrialOutcome:
        spec = spec_of(study, capture=False)
        folder = study.folders.of(trial_id, config)
        seat = InlineSeat(trial_id, folder, rules, listener, spec, self._exports, study.tune_config, again=again)
        listener.status(trial_id, "RUNNING")
        error = text = ended_by = ""
        cause: FailureCause = ""
        try:
            with _ray_session(seat, folder):
                run_trial(spec, study.plugin, nest(config), study.dataset, study.checkpoint, seat)
        except _Stopped:
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
            metrics=seat.reported,
            logdir=folder,
            error=error,
            traceback=text,
            kept=tuple(seat.kept),
            declared=declared_output(folder),
            ended_by=ended_by,
            cause=cause,
            node=platform.node() if error else "",
            stderr=stderr_tail(folder, spec.output_files) if error else "",
        )


@contextlib.contextmanager
def _ray_session(seat: InlineSeat, folder: Path) -> Iterator[None]:
    """Let `ray.tune.report`, `get_checkpoint` and `get_context` work in this process, without a running Ray.

    Ray has no public way since local_mode is gone: its module-level session is a private name, guarded by a test for
    every Ray version. Where the plugin has not imported Ray there is nothing to do until it does.
    """
    session = types.SimpleNamespace(
        report=lambda metrics, checkpoint=None: seat.report(dict(metrics), _path(checkpoint)),
        loaded_checkpoint=None,
        world_rank=None,
        trial_id=seat.trial_id,
        trial_name=f"trialrun_trial_{seat.trial_id}",
        trial_dir=str(folder),
        trial_resources=None,
        experiment_name="inline",
    )
    finder = _SessionFinder(session)
    sys.meta_path.insert(0, finder)
    finder.place()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.remove()


def _path(checkpoint: Any) -> Path | None:
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

    def place(self) -> None:
        if _SESSION_MODULE in sys.modules:
            sys.modules[_SESSION_MODULE]._session = self._session  # type: ignore[attr-defined]  # noqa: SLF001  # see _ray_session

    def remove(self) -> None:
        module: Any = sys.modules.get(_SESSION_MODULE)
        if module is not None and module._session is self._session:  # noqa: SLF001  # see _ray_session
            module._session = None  # noqa: SLF001  # see _ray_session
