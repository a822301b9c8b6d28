"""Tree-structured Parzen estimator over all parameters at once: the adapter of Optuna, an extra.

Watanabe: Tree-structured Parzen estimator, understanding its algorithm components (2023, arXiv:2304.11127). A failed
trial is marked as failed in Optuna, which does not learn from its point.

Each suggestion has a new sampler, seeded by the job's seed and the suggestion's number: the observations are then the
whole state, and a restored study makes the same suggestions as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trialrun.search.base import Mode, Point
from trialrun.search.options import check_options, choice_option, count_option, missing_library_error
from trialrun.search.units import count_levels, from_unit, to_unit
from trialrun.space import Category, Integer, Primitive

try:
    import optuna
except ModuleNotFoundError as error:
    raise missing_library_error("optunasearch", error, library="optuna", extra="optuna") from error

__all__ = ["OPTIONS", "Optuna", "make"]

OPTIONS = {
    "sampler": choice_option("tpe", "random"),
    "n_initial_points": count_option(10),
    "n_ei_candidates": count_option(24),
}
_MAX_INTEGER_RANGE = 2**31  # integers of a wider range are searched as numbers in [0, 1], as reals are


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> Optuna:
    """Return the algorithm. Raises RequestInvalid for an unknown option or a wrong value."""
    return Optuna(primitives, mode=mode, seed=seed, options=check_options("optunasearch", options, OPTIONS))


class Optuna:
    """The ask/tell interface over an Optuna study in memory, which identifies trials by number."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._primitives = dict(primitives)
        self._distributions = {name: _build_distribution(p) for name, p in primitives.items()}
        self._mode = mode
        self._seed = seed
        self._options = options
        self._reset_study()

    def _reset_study(self) -> None:
        self._study = _create_study(self._mode)
        self._open: dict[str, int] = {}

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        if fixed:
            self._study.enqueue_trial(
                {name: _encode_value(self._primitives[name], value) for name, value in fixed.items()}
            )
        self._study.sampler = self._build_sampler(len(self._study.get_trials(deepcopy=False)))
        trial = self._study.ask(self._distributions)
        self._open[trial_id] = trial.number
        return {**{name: _decode_value(p, trial.params[name]) for name, p in self._primitives.items()}, **(fixed or {})}

    def _build_sampler(self, number: int) -> optuna.samplers.BaseSampler:
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
        self._reset_study()
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


def _create_study(mode: Mode) -> optuna.Study:
    """Return a new study, without Optuna's message about it on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    finally:
        optuna.logging.set_verbosity(before)


def _build_distribution(primitive: Primitive) -> optuna.distributions.BaseDistribution:
    if isinstance(primitive, Category):
        return optuna.distributions.CategoricalDistribution(range(primitive.size))
    if _is_integer(primitive):
        return optuna.distributions.IntDistribution(0, int(count_levels(primitive)) - 1)
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _is_integer(primitive: Primitive) -> bool:
    return isinstance(primitive, Integer) and count_levels(primitive) <= _MAX_INTEGER_RANGE


def _encode_value(primitive: Primitive, value: Any) -> float | int:
    """Return a value in Optuna's form: counted from 0, or in [0, 1]."""
    if isinstance(primitive, Category):
        return int(value)
    return int(value) - primitive.low if _is_integer(primitive) else to_unit(primitive, value)


def _decode_value(primitive: Primitive, value: Any) -> float | int:
    if isinstance(primitive, Category):
        return int(value)
    return int(value) + primitive.low if _is_integer(primitive) else from_unit(primitive, value)
