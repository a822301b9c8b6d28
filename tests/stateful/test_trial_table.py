"""A state machine of the trial table: it equals a plain dict of dicts, as a whole and by deltas."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trialrun.trials import (
    RESULT_KEYS,
    TRIAL_STATUSES,
    TrialReported,
    TrialStarted,
    TrialStatusChanged,
    TrialTable,
    merge_delta,
    normalize_payload,
)

OBJECTIVE = "acc"
trial_ids = st.sampled_from(["t1", "t2", "t3", "t4"])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, math.nan, math.inf, -math.inf])
metric_cells = numbers | st.sampled_from(["text", True, None])
metric_names = st.sampled_from([OBJECTIVE, "loss", "a", "b", "c", "done", "time_total_s", "config/lr"])
reports = st.dictionaries(metric_names, metric_cells, max_size=4)
configs = st.dictionaries(
    st.sampled_from(["lr", "units", "opt", "act"]), numbers | st.sampled_from(["adam", True]), max_size=3
)


def _is_metric(name: str, value: Any) -> bool:
    return name not in RESULT_KEYS and not name.startswith("config/") and type(value) in (int, float)


def _nonfinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


class TrialTables(RuleBasedStateMachine):
    """The model is three dicts and two lists, rebuilt in the simplest way."""

    def __init__(self) -> None:
        super().__init__()
        self.table = TrialTable(OBJECTIVE, ["lr"])
        self.status: dict[str, str] = {}
        self.config: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, Any]] = {}
        self.hyperparameter_names = ["lr"]
        self.metric_names = [OBJECTIVE]
        self.received: dict[str, Any] = TrialTable(OBJECTIVE, ["lr"]).snapshot()
        self.changed: set[str] = set()

    def _see(self, trial_id: str, status: str) -> None:
        self.status.setdefault(trial_id, status)
        self.config.setdefault(trial_id, {})
        self.metrics.setdefault(trial_id, {})
        self.changed.add(trial_id)

    @rule(trial_id=trial_ids, config=configs)
    def start(self, trial_id: str, config: dict[str, Any]) -> None:
        self.table.apply(TrialStarted(trial_id=trial_id, config=config))
        self._see(trial_id, "RUNNING")
        self.status[trial_id] = "RUNNING"
        self.config[trial_id] = dict(config)
        self.hyperparameter_names += [name for name in config if name not in self.hyperparameter_names]

    @rule(trial_id=trial_ids, status=st.sampled_from(TRIAL_STATUSES))
    def change_status(self, trial_id: str, status: str) -> None:
        self.table.apply(TrialStatusChanged(trial_id=trial_id, status=status))
        self._see(trial_id, status)
        self.status[trial_id] = status

    @rule(trial_id=trial_ids, metrics=reports, nested=st.booleans())
    def report(self, trial_id: str, metrics: dict[str, Any], nested: bool) -> None:
        flat = {f"val/{name}": value for name, value in metrics.items()} if nested else metrics
        self.table.apply(TrialReported(trial_id=trial_id, metrics={"val": metrics} if nested else metrics))
        self._see(trial_id, "RUNNING")
        for name, value in flat.items():
            if _is_metric(name, value):
                self.metrics[trial_id][name] = value
                self.metric_names += [name] * (name not in self.metric_names)

    @rule()
    def deliver(self) -> None:
        delta = self.table.take_delta()
        assert (delta is None) == (not self.changed)
        if delta is not None:
            assert set(delta["trials"]) == self.changed
            assert all(set(row["all_metrics"]) == set(self.metrics[name]) for name, row in delta["trials"].items())
            sent = json.loads(json.dumps(delta, allow_nan=False))
            self.received = merge_delta(self.received, sent)
        self.changed.clear()

    def _expected(self) -> dict[str, Any]:
        metric_names = self.metric_names[:4]
        trials: dict[str, Any] = {}
        for trial_id, status in self.status.items():
            config, metrics = self.config[trial_id], self.metrics[trial_id]
            cells = [(name, config.get(name)) for name in self.hyperparameter_names]
            values = [(name, metrics.get(name)) for name in metric_names]
            row: dict[str, Any] = {
                "base": [trial_id, status],
                "hyperparameters": [None if _nonfinite(value) else value for _, value in cells],
                "metrics": [None if _nonfinite(value) else value for _, value in values],
            }
            if flags := {name: str(value) for name, value in [*cells, *values] if _nonfinite(value)}:
                row["nonfinite"] = flags
            trials[trial_id] = row
        return {
            "base": ["trial_id", "status"],
            "hyperparameters": self.hyperparameter_names,
            "metrics": metric_names,
            "best_trial": "",
            "trials": trials,
        }

    @invariant()
    def the_table_is_the_model(self) -> None:
        snapshot = self.table.snapshot()
        # as text, so that the order of rows counts, and 1 is neither 1.0 nor True
        assert json.dumps(snapshot) == json.dumps(self._expected())

    @invariant()
    def the_counts_are_those_of_the_rows(self) -> None:
        assert self.table.status_counts() == {
            status: list(self.status.values()).count(status) for status in TRIAL_STATUSES
        }

    @invariant()
    @precondition(lambda self: not self.changed)
    def the_deltas_add_up_to_the_snapshot(self) -> None:
        assert self.received == self.table.snapshot()

    @invariant()
    def a_snapshot_is_accepted_as_a_table_made_by_hand(self) -> None:
        snapshot = self.table.snapshot()
        assert normalize_payload(snapshot) == snapshot


TestTrialTable = TrialTables.TestCase
