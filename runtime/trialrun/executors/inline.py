"""Trials one after another in this process, without Ray: for debuggers and fast checks."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.executors.base import Listener, Study, StudyOutcome, TrialOutcome
from trialrun.executors.ending import study_outcome
from trialrun.executors.rules import StopRules
from trialrun.executors.trial import check_result, declared_output, run_trial, spec_of
from trialrun.outcomes import objective
from trialrun.search import made_algorithm
from trialrun.space import nest
from trialrun_hookspecs.errors import RequestInvalid

__all__ = ["InlineExecutor"]

_SESSION_MODULE = "ray.train._internal.session"


class _Stopped(SystemExit):
    """A rule ended the trial: unwinds the plugin as Ray does."""


class InlineSeat:
    """A trial in this process."""

    def __init__(self, trial_id: str, folder: Path, rules: StopRules, listener: Listener, spec: Any) -> None:
        self.trial_id = trial_id
        self.reported: dict[str, Any] = {}
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self._folder = folder
        self._rules = rules
        self._listener = listener
        self._spec = spec
        self._iteration = 0

    def report(self, metrics: dict[str, Any], checkpoint: Path | None) -> None:
        plain = events.plain(metrics, "report", "keep")
        check_result(plain, self._spec, self, checkpoint=checkpoint is not None)
        self._iteration += 1
        self._listener.reported(self.trial_id, self._iteration, plain)
        if checkpoint is not None:
            self.kept.append((str(self._keep(checkpoint)), dict(self.reported)))
        auto = {"training_iteration": self._iteration, "trial_id": self.trial_id}
        if self._rules.trial(self.trial_id, {**plain, **auto}) or self._rules.ended_by:
            raise _Stopped

    def _keep(self, checkpoint: Path) -> Path:
        target = self._folder / f"checkpoint_{len(self.kept):06d}"
        if checkpoint.is_dir():
            shutil.copytree(checkpoint, target)
        else:
            target.mkdir()
            shutil.copy2(checkpoint, target)
        return target

    def loaded(self) -> Path | None:
        return None


class InlineExecutor:
    """Runs a study without Ray. `ray.tune.report` works in it where Ray is installed."""

    name = "inline"

    def preflight(self, study: Study) -> None:
        scheduler = study.tune_config.scheduler
        if scheduler.name != "fifo":
            fix = "Use --executor ray, or the scheduler fifo."
            where = "params.tune_config.scheduler"
            raise RequestInvalid(
                "the inline executor runs every trial to its end", where=where, got=scheduler.name, fix=fix
            )
        made_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())

    def execute(self, study: Study, listener: Listener) -> StudyOutcome:
        algorithm = made_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())
        rules = StopRules(study.tune_config, time.monotonic, threading.Event())
        outcomes: list[TrialOutcome] = []
        for number in range(study.total):
            trial_id = f"{study.run_key[:5]}_{number:05d}"
            point = None if rules.ended_by else algorithm.ask(trial_id)
            if point is None:
                break
            config = study.space.decode(point)
            outcome = self._attempts(study, listener, rules, trial_id, config)
            value = None if outcome.error else objective(outcome.metrics, study.tune_config.metric)
            algorithm.tell(trial_id, value)
            rules.trial_ended(value)
            outcomes.append(outcome)
            if rules.interrupted.is_set() or (outcome.error and study.tune_config.fail_fast):
                break
        return study_outcome(study, outcomes, rules)

    def _attempts(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any]
    ) -> TrialOutcome:
        listener.started(trial_id, config)
        left = study.tune_config.max_failures
        while True:
            outcome = self._one(study, listener, rules, trial_id, config)
            if not outcome.error or left == 0:
                break
            left -= 1
            listener.warn(f"trial {trial_id} failed and is started again: {outcome.error}")
        listener.status(trial_id, outcome.status)
        listener.ended(outcome)
        return outcome

    def _one(
        self, study: Study, listener: Listener, rules: StopRules, trial_id: str, config: dict[str, Any]
    ) -> TrialOutcome:
        spec = spec_of(study, capture=False)
        folder = study.trials_dir / trial_id
        seat = InlineSeat(trial_id, folder, rules, listener, spec)
        listener.status(trial_id, "RUNNING")
        error = text = ended_by = ""
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
