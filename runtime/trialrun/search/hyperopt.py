"""Tree-structured Parzen estimator: the adapter of hyperopt.

Bergstra, Bardenet, Bengio, Kégl: Algorithms for Hyper-Parameter Optimization (NeurIPS 2011).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from trialrun.search.base import Mode, Point
from trialrun.search.options import Option, check_options, count_option, positive_option
from trialrun.space import Category, Integer, Primitive, Real

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # hyperopt imports names that its own dependencies have deprecated
    from hyperopt import hp, tpe
    from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, Domain, Trials

__all__ = ["OPTIONS", "HyperOpt", "make"]

OPTIONS: Mapping[str, Option] = {
    "n_initial_points": count_option(20),
    "gamma": positive_option(0.25),
    "n_EI_candidates": count_option(24),
    "prior_weight": positive_option(1.0),
}


def make(primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]) -> HyperOpt:
    """Return the algorithm. Raises RequestInvalid for an unknown option or a value that is not allowed."""
    return HyperOpt(primitives, mode=mode, seed=seed, options=check_options("hyperoptsearch", options, OPTIONS))


class HyperOpt:
    """The ask/tell interface over hyperopt's `Trials`, which contain running trials without a loss."""

    def __init__(
        self, primitives: Mapping[str, Primitive], *, mode: Mode, seed: int, options: Mapping[str, Any]
    ) -> None:
        self._primitives = dict(primitives)
        self._sign = -1.0 if mode == "max" else 1.0
        self._rng = np.random.default_rng(seed)
        self._options = options
        self._domain = Domain(lambda point: 0.0, {name: _build_expression(name, p) for name, p in primitives.items()})
        self._trials = Trials()
        self._asked = 0
        self._open: dict[str, int] = {}

    def ask(self, trial_id: str, fixed: Point | None = None) -> Point:
        tid = self._trials.new_trial_ids(1)
        self._asked += 1
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
            values[name] = [_encode_value(self._primitives[name], value)]
        self._insert_documents(made)
        self._open[trial_id] = int(made[0]["tid"])
        return {name: _decode_value(p, values[name][0]) for name, p in self._primitives.items()} | (fixed or {})

    def tell(self, trial_id: str, value: float | None) -> None:
        tid = self._open.pop(trial_id, None)
        for document in self._trials.trials if tid is not None else ():
            if document["tid"] == tid:
                _complete_document(document, value, self._sign)
        self._trials.refresh()

    def state(self) -> Any:
        documents = [
            {
                "tid": int(d["tid"]),
                "vals": {name: [float(v) for v in values] for name, values in d["misc"]["vals"].items()},
                "state": d["state"],
                "loss": d["result"].get("loss"),
            }
            for d in sorted(self._trials.trials, key=lambda document: int(document["tid"]))
        ]
        return {
            "asked": self._asked,
            "trials": documents,
            "open": dict(self._open),
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Any) -> None:
        self._trials = Trials()
        self._asked = state["asked"]
        self._trials.new_trial_ids(self._asked)  # hyperopt forgets failed trials, whose ids stay taken
        for saved in state["trials"]:
            tid = saved["tid"]
            misc = {
                "tid": tid,
                "cmd": ("domain_attachment", "FMinIter_Domain"),
                "idxs": {name: [tid] for name in saved["vals"]},
                "vals": {
                    name: [self._restore_value(name, v) for v in values] for name, values in saved["vals"].items()
                },
                "workdir": None,
            }
            documents = self._trials.new_trial_docs([tid], [None], [{"status": "new"}], [misc])
            self._insert_documents(documents)
            if saved["state"] in (JOB_STATE_DONE, JOB_STATE_ERROR):
                _complete_document(
                    documents[0], None if saved["loss"] is None else self._sign * saved["loss"], self._sign
                )
        self._trials.refresh()
        self._open = {trial_id: int(tid) for trial_id, tid in state["open"].items()}
        self._rng.bit_generator.state = state["rng"]

    def _restore_value(self, name: str, value: float) -> float:
        return int(value) if isinstance(self._primitives[name], Category) else value  # an index, so not a float

    def _insert_documents(self, documents: Any) -> None:
        self._trials.insert_trial_docs(documents)
        self._trials.refresh()


# reals, and integers with many values, are in [0, 1] for hyperopt, which cannot use every width
_MAX_COUNTED_RANGE = 100_000


def _is_counted(primitive: Primitive) -> bool:
    return isinstance(primitive, Integer) and primitive.high - primitive.low < _MAX_COUNTED_RANGE


def _build_expression(name: str, primitive: Primitive) -> Any:
    if isinstance(primitive, Category):
        return hp.randint(name, primitive.size)
    if isinstance(primitive, Integer) and _is_counted(primitive):
        # half a step beyond both ends, so that the ends are as likely as the rest
        return hp.quniform(name, -0.4999, primitive.high - primitive.low + 0.4999, 1)
    return hp.uniform(name, 0.0, 1.0)


def _encode_value(primitive: Primitive, value: Any) -> Any:
    """Return the value of a primitive in hyperopt's form."""
    if isinstance(primitive, Category):
        return int(value)
    if _is_counted(primitive):
        return float(value - primitive.low)
    width = primitive.high - primitive.low
    return (value - primitive.low) / width if width else 0.5


def _decode_value(primitive: Primitive, value: Any) -> Any:
    """Return hyperopt's suggestion as a value of the primitive."""
    if isinstance(primitive, Category):
        return min(max(int(value), 0), primitive.size - 1)
    if isinstance(primitive, Real):
        scaled = primitive.low + float(value) * (primitive.high - primitive.low)
        return min(max(scaled, primitive.low), primitive.high)
    step = round(float(value)) if _is_counted(primitive) else round(float(value) * (primitive.high - primitive.low))
    return min(max(primitive.low + step, primitive.low), primitive.high)


def _complete_document(document: Any, value: float | None, sign: float) -> None:
    if value is None or not math.isfinite(value):
        document["state"] = JOB_STATE_ERROR
        document["result"] = {"status": "fail"}
    else:
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": "ok", "loss": sign * value}
