"""Ears in Tune's loop: what happens to trials goes to the study's listener; nothing raised here reaches the loop."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback

from trialrun import events
from trialrun.executors.base import Listener, Study
from trialrun.executors.exports import Exports
from trialrun.executors.ray_tune.failures import Failure, OutOfMemoryKills, read_failure
from trialrun.executors.ray_tune.trainable import select_own_metrics
from trialrun.executors.stop_rules import StopRules
from trialrun.executors.trial import find_artifact
from trialrun.outcomes import objective_value
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import list_checkpoints
from trialrun.run_dir.history import TrialOutcome
from trialrun.space import flatten_values
from trialrun.trials import RESULT_KEYS

__all__ = ["IsolatedCallback", "ListeningCallback"]

STUCK_S = 60.0  # how long all trials may be paused: a suggestion, or a node, may be on its way


def _keep_errors(method: Callable[..., None]) -> Callable[..., None]:
    """A callback that raises would end the whole study: keep the error and go on."""

    @functools.wraps(method)
    def call_method(self: ListeningCallback, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # whatever it is, the study goes on
            self.errors.append(error)

    return call_method


def _merge_tune_fields(trial: Any, result: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A report together with what Tune filled in by itself, but for the hyperparameters."""
    added = {key: value for key, value in result.items() if key in RESULT_KEYS and key != "config"}
    tag = str(trial.experiment_tag)  # Tune adds it after the callbacks
    return {**metrics, **events.to_plain({"experiment_tag": tag, **added}, "result", "keep")}


class ListeningCallback(Callback):
    """Keeps the outcome of each trial and tells the listener."""

    def __init__(
        self, study: Study, listener: Listener, rules: StopRules, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._stuck_since: float | None = None
        self._study = study
        self._listener = listener
        self._rules = rules
        self._seen = 0
        self._killed = OutOfMemoryKills()
        self._exports = Exports(study.tune_config.loggers)
        self._folders: dict[str, Path] = {}
        self._status: dict[str, str] = {}
        self._touched: dict[str, Any] = {}
        self._metrics: dict[str, dict[str, Any]] = {}
        self._kept: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for trial_id in study.resumed:
            found = list_checkpoints(study.trial_folders.find_folder(trial_id))
            self._kept[trial_id] = [(mark.path, mark.metrics) for mark in found]
            self._metrics[trial_id] = dict(found[-1].metrics) if found else {}
        self.trials: dict[str, Any] = {}
        self.outcomes: dict[str, TrialOutcome] = {}
        self.errors: list[Exception] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> ListeningCallback:
        return self

    def __reduce__(self) -> Any:  # Tune pickles callbacks with its own state; ours stays here
        return (Callback, ())

    @_keep_errors
    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if len(trials) == self._seen:
            return
        for trial in [trial for trial in trials if trial.trial_id not in self.trials]:  # one that failed is put last
            self.trials[trial.trial_id] = trial
            config = self._flatten_config(trial)
            self._folders[trial.trial_id] = self._study.trial_folders.find_folder(trial.trial_id, config)
            self._listener.on_start(trial.trial_id, config)
            self._exports.start_trial(trial.trial_id, self._folders[trial.trial_id], config)
        self._seen = len(trials)

    @_keep_errors
    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.on_step_begin(iteration, trials)
        touched, self._touched = self._touched, {}
        for trial in touched.values():  # a scheduler's pause comes after the callbacks of its result
            self._set_status(trial, trial.status)
        self._end_if_stuck(trials)
        self._listener.tick()

    def _end_if_stuck(self, trials: list[Any]) -> None:
        """HyperBand forgets paused trials when one that it has resumed fails, and Tune would wait for ever."""
        live = [trial for trial in trials if not trial.is_finished()]
        if not live or any(trial.status != "PAUSED" for trial in live):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = self._clock()
        elif self._clock() - self._stuck_since > STUCK_S:
            name = self._study.tune_config.scheduler.name
            self._rules.end_study(f"scheduler: {name} left {len(live)} trials paused and runs none")

    @_keep_errors
    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.on_step_begin(iteration, trials)
        self._set_status(trial, "RUNNING")

    @_keep_errors
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        metrics = events.to_plain(select_own_metrics(result), "result", "keep")
        self._metrics.setdefault(trial.trial_id, {}).update(metrics)
        self._touched[trial.trial_id] = trial
        self._listener.on_report(trial.trial_id, int(result["training_iteration"]), metrics)
        self._exports.write_result(trial.trial_id, _merge_tune_fields(trial, result, metrics))

    @_keep_errors
    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        metrics = dict(self._metrics.get(trial.trial_id, {}))
        self._kept.setdefault(trial.trial_id, []).append((checkpoint.path, metrics))

    @_keep_errors
    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        failure = self._read_failure(trial)
        self._listener.warn(f"trial {trial.trial_id} failed and is started again: {failure.error}")
        self._touched[trial.trial_id] = trial

    @_keep_errors
    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end_trial(trial, "TERMINATED")

    @_keep_errors
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end_trial(trial, "ERROR")

    def finish_trials(self) -> None:
        """Trials that were cut off have no callback of their own."""
        for trial in self.trials.values():
            if trial.trial_id not in self.outcomes:
                self._end_trial(trial, "ERROR" if trial.status == "ERROR" else trial.status)
        self.errors += self._exports.errors

    def _set_status(self, trial: Any, status: str) -> None:
        if self._status.get(trial.trial_id) != status and trial.trial_id not in self.outcomes:
            self._status[trial.trial_id] = status
            self._listener.on_status(trial.trial_id, status)  # type: ignore[arg-type]  # Ray's words are ours

    def _end_trial(self, trial: Any, status: Any) -> None:
        if trial.trial_id in self.outcomes:
            return
        self._set_status(trial, status)
        logdir = self._folders[trial.trial_id]
        failure = self._read_failure(trial) if status == "ERROR" else Failure()
        outcome = TrialOutcome(
            trial_id=trial.trial_id,
            status=status,
            config=self._flatten_config(trial),
            metrics=self._metrics.get(trial.trial_id, {}),
            logdir=logdir,
            error=failure.error,
            traceback=failure.traceback,
            cause=failure.cause,
            node=failure.node,
            stderr=failure.stderr,
            declared=find_artifact(logdir),
            ended_by=self._find_end_reason(trial.trial_id, status, logdir),
            kept=tuple(pair for pair in self._kept.get(trial.trial_id, ()) if Path(pair[0]).exists()),
        )
        self.outcomes[trial.trial_id] = outcome
        self._rules.record_trial_end(
            None if failure.error else objective_value(outcome.metrics, self._study.tune_config.metric)
        )
        self._listener.on_end(outcome)
        self._exports.finish_trial(trial.trial_id, outcome.metrics)

    def _flatten_config(self, trial: Any) -> dict[str, Any]:
        """The trial's flat hyperparameters; Ray knows those that are searched."""
        space = self._study.space
        return space.try_complete_values(flatten_values(trial.config, space.distributions))

    def _read_failure(self, trial: Any) -> Failure:
        return read_failure(trial, self._folders[trial.trial_id], self._killed, self._study.tune_config.output_files)

    def _find_end_reason(self, trial_id: str, status: Any, logdir: Path) -> str:
        """What ended the trial before its function did: a rule of the job, the end of the study, or the scheduler."""
        if status != "TERMINATED" or (logdir / layout.FINISHED).exists():
            return ""
        scheduler = f"scheduler: {self._study.tune_config.scheduler.name}"
        return self._rules.reasons.get(trial_id) or self._rules.ended_by or scheduler


class IsolatedCallback(Callback):
    """A plugin's own Tune callback: when it raises it is reported and switched off, and the study goes on."""

    def __init__(self, inner: Any, warn: Callable[[str], None]) -> None:
        self._inner: Any = inner
        self._warn = warn

    def __deepcopy__(self, memo: dict[int, Any]) -> IsolatedCallback:
        return self

    def __reduce__(self) -> Any:
        return (Callback, ())

    def _call_inner(self, name: str, **arguments: Any) -> None:
        if self._inner is None:
            return
        try:
            getattr(self._inner, name)(**arguments)
        except Exception as error:  # noqa: BLE001  # theirs, whatever it is
            self._warn(f"trial callback {type(self._inner).__name__}.{name} raised and is switched off: {error!r}")
            self._inner = None


def _make_forwarder(name: str) -> Callable[..., None]:
    def forward_call(self: IsolatedCallback, *args: Any, **kwargs: Any) -> None:
        names = ("iteration", "trials", "trial", "result")
        self._call_inner(name, **dict(zip(names, args, strict=False)), **kwargs)

    forward_call.__name__ = name
    return forward_call


for _name in (
    "on_step_begin",
    "on_step_end",
    "on_trial_start",
    "on_trial_restore",
    "on_trial_save",
    "on_trial_result",
    "on_trial_complete",
    "on_trial_recover",
    "on_trial_error",
    "on_checkpoint",
    "on_experiment_end",
):
    setattr(IsolatedCallback, _name, _make_forwarder(_name))
