"""Trials of an earlier run, given to Tune before its search algorithm makes new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import BasicVariantGenerator, SearchAlgorithm, Searcher, SearchGenerator

from trialrun.executors.base import Study
from trialrun.run_dir import layout
from trialrun.space import nest_values

__all__ = ["ResumedTrials", "replay_scheduler"]


class ResumedTrials(SearchAlgorithm):
    """First the trials that were cut off, under their ids and in their folders; then what `inner` makes.

    Tune's own resume goes by its last snapshot, seconds old. Here a trial goes on from its newest complete checkpoint,
    which `RaySeat.loaded` hands over, so that for Tune it is a trial like any other.
    """

    def __init__(self, inner: SearchAlgorithm | Searcher, study: Study, *, limit: int | None) -> None:
        self._inner = SearchGenerator(inner) if isinstance(inner, Searcher) else inner
        self._cut = [(trial_id, study.history.configs[trial_id]) for trial_id in study.resumed]
        self._made = len(study.history.configs)
        self._folder = study.results / layout.RAY_DIR
        self._limit = limit
        self._live: set[str] = set()
        self._none_left = study.remaining == 0
        self._spec: dict[str, Any] = {}

    @property
    def metric(self) -> Any:
        return self._inner.metric

    @property
    def total_samples(self) -> int:
        return len(self._cut) + int(self._inner.total_samples)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return bool(self._inner.set_search_properties(metric, mode, config, **spec))

    def add_configurations(self, experiments: Any) -> None:
        self._spec = experiments[0].spec
        self._inner.add_configurations(experiments)
        if isinstance(self._inner, BasicVariantGenerator):  # it repeats its sequence: pass over what was made
            for _ in range(self._made):
                trial = self._inner.next_trial()
                if trial is None:
                    break
                self._inner.on_trial_complete(trial.trial_id)

    def next_trial(self) -> Any:
        if self._limit and len(self._live) >= self._limit:
            return None
        trial = (
            self._recreate_trial(*self._cut.pop(0))
            if self._cut
            else None
            if self._none_left
            else self._inner.next_trial()
        )
        if trial is not None:
            self._live.add(trial.trial_id)
        return trial

    def _recreate_trial(self, trial_id: str, config: Mapping[str, Any]) -> Any:
        made = _create_trial_from_spec(
            {**self._spec, "config": nest_values(config)},
            _make_parser(),
            trial_id=trial_id,
            evaluated_params=dict(config),
            experiment_tag=trial_id,
        )
        made.storage.trial_dir_name = trial_id
        made.storage.current_checkpoint_index = _find_last_index(self._folder / trial_id)
        return made

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._inner.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.discard(trial_id)
        self._inner.on_trial_complete(trial_id, result, error)

    def is_finished(self) -> bool:
        return not self._cut and (self._none_left or bool(self._inner.is_finished()))


def _find_last_index(folder: Path) -> int:
    """The number of the last checkpoint on disk, complete or not: none is written over."""
    numbers = [path.name.rpartition("_")[2] for path in folder.glob(f"{layout.CHECKPOINT_PREFIX}*")]
    return max((int(number) for number in numbers if number.isdigit()), default=-1)


def replay_scheduler(scheduler: Any, study: Study) -> Any:
    """A scheduler that only stops, after it has heard the results of the past once more.

    HyperBand, PBT and PB2 keep brackets and populations of live trials, which cannot be told from results: they begin
    anew with the trials that are left. So does median stopping where it goes by seconds, which were not recorded.
    """
    if study.tune_config.scheduler.name not in ("asha", "median") or not study.history.results:
        return scheduler
    scheduler.set_search_properties(study.tune_config.metric, study.tune_config.mode)
    trials: dict[str, Any] = {}
    last: dict[str, dict[str, Any]] = {}
    stopped: set[str] = set()  # what comes after that it would not take
    for trial_id, iteration, metrics in study.history.results:
        if trial_id not in trials:
            trials[trial_id] = _ReplayedTrial(trial_id=trial_id, config=study.history.configs.get(trial_id, {}))
            scheduler.on_trial_add(None, trials[trial_id])
        last[trial_id] = {**metrics, "training_iteration": iteration}
        if study.tune_config.metric in last[trial_id] and trial_id not in stopped:
            said = scheduler.on_trial_result(None, trials[trial_id], last[trial_id])
            stopped |= {trial_id} if said == TrialScheduler.STOP else set()
    for trial_id, outcome in study.history.outcomes.items():
        if trial_id in trials and trial_id not in study.resumed and outcome.status == "TERMINATED":
            scheduler.on_trial_complete(None, trials[trial_id], last[trial_id])
    return scheduler


@dataclass(frozen=True, eq=False, kw_only=True)
class _ReplayedTrial:
    """A trial as these schedulers look at it."""

    trial_id: str
    config: Mapping[str, Any]
