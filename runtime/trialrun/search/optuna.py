"""Tree-structured Parzen estimator over all parameters at once: the door to Optuna, an extra.

Watanabe: Tree-structured Parzen estimator, understanding its algorithm components (2023, arXiv:2304.11127). A trial
that failed is known to Optuna as failed, and its point is not learnt from.

The sampler is made anew for each suggestion, seeded by the job's seed and the suggestion's number: all that matters is
then in the observations, and a study that was restored goes on as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trialrun.search.base import Mode, Point
from trialrun.search.options import checked, count, library_absent, one_of
from trialrun.search.units import from_unit, levels, to_unit
from trialrun.space import Category, Integer, Primitive

try:
    import optuna
except ModuleNotFoundError as error:
    raise library_absent("optunasearch", error, library="optuna", extra="optuna") from error

__all__ = ["OPTIONS", "Optuna", "make"]

OPTIONS = {
    "sampler": one_of("tpe", "random"),
    "n_initial_points": count(10),
    "n_ei_candidates": count(24),
}
_WIDEST = 2**31  # integers of a wider range are searched as numbers in [0, 1], as reals are


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> Optuna:
    """The algorithm. Raises RequestInvalid for an unknown option or a wrong value."""
    return Optuna(primitives, mode=mode, seed=seed, options=checked("optunasearch", options, OPTIONS))


class Optuna:
    """Ask/tell over an Optuna study in memory; trials are known to it by their number."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._primitives = dict(primitives)
        self._distributions = {name: _distribution(p) for name, p in primitives.items()}
        self._mode = mode
        self._seed = seed
        self._options = options
        self._restart()

    def _restart(self) -> None:
        self._study = _quiet_study(self._mode)
        self._open: dict[str, int] = {}

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        if fixed:
            self._study.enqueue_trial({name: _given(self._primitives[name], value) for name, value in fixed.items()})
        self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
        trial = self._study.ask(self._distributions)
        self._open[trial_id] = trial.number
        return {**{name: _taken(p, trial.params[name]) for name, p in self._primitives.items()}, **(fixed or {})}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self._seed % 2**63, number]).generate_state(1)[0])
        if self._options["sampler"] == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=self._options["n_initial_points"],
            n_ei_candidates=self._options["n_ei_candidates"],
        )

    def tell(self, trial_id: str, value: float | None) -> None:
        number = self._open.pop(trial_id, None)
        if number is not None:
            if value is None or not math.isfinite(value):
                self._study.tell(number, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(number, value)

    def state(self) -> Any:
        trials = self._study.get_trials(deepcopy=False)
        return {
            "seed": self._seed,
            "trials": [
                {
                    "point": dict(trial.params),
                    "state": trial.state.name,
                    "value": trial.value if trial.state == optuna.trial.TrialState.COMPLETE else None,
                }
                for trial in trials
            ],
            "open": dict(self._open),
        }

    def restore(self, state: Any) -> None:
        self._seed = state["seed"]
        self._restart()
        for saved in state["trials"]:
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[saved["state"]],
                    value=saved["value"],
                    params=saved["point"],
                    distributions=self._distributions,
                )
            )
        self._open = {trial_id: int(number) for trial_id, number in state["open"].items()}


def _quiet_study(mode: Mode) -> optuna.Study:
    """Optuna tells of every new study on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(primitive: Primitive) -> optuna.distributions.BaseDistribution:
    if isinstance(primitive, Category):
        return optuna.distributions.CategoricalDistribution(range(primitive.size))
    if _as_integer(primitive):
        return optuna.distributions.IntDistribution(0, int(levels(primitive)) - 1)
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _as_integer(primitive: Primitive) -> bool:
    return isinstance(primitive, Integer) and levels(primitive) <= _WIDEST


def _given(primitive: Primitive, value: Any) -> float | int:
    """A value as Optuna knows it: counted from 0, or in [0, 1]."""
    if isinstance(primitive, Category):
        return int(value)
    return int(value) - primitive.low if _as_integer(primitive) else to_unit(primitive, value)


def _taken(primitive: Primitive, value: Any) -> float | int:
    if isinstance(primitive, Category):
        return int(value)
    return int(value) + primitive.low if _as_integer(primitive) else from_unit(primitive, value)
