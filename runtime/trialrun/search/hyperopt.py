"""Tree-structured Parzen estimator: the door to hyperopt.

Bergstra, Bardenet, Bengio, Kégl: Algorithms for Hyper-Parameter Optimization (NeurIPS 2011).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from trialrun.search.base import Mode, Point
from trialrun.space import Category, Integer, Primitive, Real
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.request import did_you_mean

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # hyperopt imports names that its own dependencies have deprecated
    from hyperopt import hp, tpe
    from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, Domain, Trials

__all__ = ["OPTIONS", "HyperOpt", "make"]

OPTIONS: Mapping[str, Any] = {"n_initial_points": 20, "gamma": 0.25, "n_EI_candidates": 24, "prior_weight": 1.0}


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> HyperOpt:
    """The algorithm. Raises RequestInvalid for an unknown option or a value of the wrong type."""
    where = "params.tune_config.search_alg.options"
    problems = []
    for key, value in options.items():
        if key not in OPTIONS:
            fix = did_you_mean(key, OPTIONS) or f"Known: {', '.join(OPTIONS)}."
            problems.append(
                Problem(where=f"{where}.{key}", rule="hyperoptsearch has no such option", got=repr(value), fix=fix)
            )
        elif isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            problems.append(Problem(where=f"{where}.{key}", rule="must be a positive number", got=repr(value)))
    if problems:
        raise RequestInvalid(problems=problems)
    return HyperOpt(primitives, mode=mode, seed=seed, options={**OPTIONS, **options})


class HyperOpt:
    """Ask/tell over hyperopt's `Trials`; open trials are known to it and carry no loss."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._primitives = dict(primitives)
        self._sign = -1.0 if mode == "max" else 1.0
        self._rng = np.random.default_rng(seed)
        self._options = options
        self._domain = Domain(lambda point: 0.0, {name: _expression(name, p) for name, p in primitives.items()})
        self._trials = Trials()
        self._open: dict[str, int] = {}

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        tid = self._trials.new_trial_ids(1)
        self._trials.refresh()
        made = tpe.suggest(
            tid,
            self._domain,
            self._trials,
            int(self._rng.integers(2**31 - 1)),
            n_startup_jobs=int(self._options["n_initial_points"]),
            gamma=float(self._options["gamma"]),
            n_EI_candidates=int(self._options["n_EI_candidates"]),
            prior_weight=float(self._options["prior_weight"]),
            verbose=False,
        )
        values = made[0]["misc"]["vals"]
        for name, value in (fixed or {}).items():
            values[name] = [value]
        self._insert(made)
        self._open[trial_id] = int(made[0]["tid"])
        return {name: _plain(p, values[name][0]) for name, p in self._primitives.items()}

    def tell(self, trial_id: str, value: float | None) -> None:
        tid = self._open.pop(trial_id, None)
        for document in self._trials.trials if tid is not None else ():
            if document["tid"] == tid:
                _close(document, value, self._sign)
        self._trials.refresh()

    def state(self) -> Any:
        documents = [
            {
                "vals": {
                    name: [_plain(self._primitives[name], v) for v in vs] for name, vs in d["misc"]["vals"].items()
                },
                "state": d["state"],
                "loss": d["result"].get("loss"),
            }
            for d in sorted(self._trials.trials, key=lambda document: int(document["tid"]))
        ]
        return {"trials": documents, "open": dict(self._open), "rng": self._rng.bit_generator.state}

    def restore(self, state: Any) -> None:
        self._trials = Trials()
        for saved in state["trials"]:
            tid = self._trials.new_trial_ids(1)[0]
            misc = {
                "tid": tid,
                "cmd": ("domain_attachment", "FMinIter_Domain"),
                "idxs": {name: [tid] for name in saved["vals"]},
                "vals": {name: list(values) for name, values in saved["vals"].items()},
                "workdir": None,
            }
            documents = self._trials.new_trial_docs([tid], [None], [{"status": "new"}], [misc])
            self._insert(documents)
            if saved["state"] in (JOB_STATE_DONE, JOB_STATE_ERROR):
                _close(documents[0], None if saved["loss"] is None else self._sign * saved["loss"], self._sign)
        self._trials.refresh()
        self._open = {trial_id: int(tid) for trial_id, tid in state["open"].items()}
        self._rng.bit_generator.state = state["rng"]

    def _insert(self, documents: Any) -> None:
        self._trials.insert_trial_docs(documents)
        self._trials.refresh()


def _expression(name: str, primitive: Primitive) -> Any:
    if isinstance(primitive, Category):
        return hp.randint(name, primitive.size)
    if isinstance(primitive, Integer):  # half a step beyond both ends, so that the ends are as likely as the rest
        return hp.quniform(name, primitive.low - 0.4999, primitive.high + 0.4999, 1)
    return hp.uniform(name, primitive.low, primitive.high)


def _plain(primitive: Primitive, value: Any) -> Any:
    if isinstance(primitive, Real):
        return min(max(float(value), primitive.low), primitive.high)
    high = primitive.size - 1 if isinstance(primitive, Category) else primitive.high
    low = 0 if isinstance(primitive, Category) else primitive.low
    return min(max(round(float(value)), low), high)


def _close(document: Any, value: float | None, sign: float) -> None:
    if value is None:
        document["state"] = JOB_STATE_ERROR
        document["result"] = {"status": "fail"}
    else:
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": "ok", "loss": sign * value}
