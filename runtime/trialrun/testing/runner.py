"""The runner of a session: it runs each scenario once, and knows the target."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trialrun.testing.observation import Observation
from trialrun.testing.sandbox import SandboxBroken
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.scenario import Scenario
from trialrun.testing.target import Target
from trialrun_hookspecs.errors import PluginAbsent, Problem, UsageError

__all__ = ["CachingRunner"]


def _can_retry_longer(known: Future[Observation], scenario: Scenario) -> bool:
    if not known.done() or known.exception() is not None:
        return False
    observation = known.result()
    return observation.timed_out and scenario.timeout_s > 1.25 * observation.scenario.timeout_s


@dataclass
class CachingRunner:
    """Runs scenarios for all checks of a session, each scenario once, and knows the target."""

    sandboxes: SandboxPool
    base_target: Target
    seed: int
    cache: bool = True
    _observations: dict[str, Future[Observation]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def target(self) -> Target:
        """The plugin with all its settings. Raises UsageError when its own settings are wrong."""
        observation = self.load()
        loaded, error = observation.load_facts, observation.error
        if error is not None and error.type == "PluginAbsent" and not Path(self.base_target.spec).exists():
            raise PluginAbsent(problems=[Problem(where="", rule=error.message)])
        where = f"plugin {self.base_target.spec!r}, conformance"
        if loaded.get("conformance_type") and loaded.get("conformance") is None:
            raise UsageError("must be a dict", where=where, got=loaded["conformance_type"])
        own = Target.from_mapping(self.base_target.spec, loaded.get("conformance") or {}, where)
        target = self.base_target.fill_from(own.resolve_dataset(loaded.get("inside"))).with_defaults(
            has_tune="tune" in loaded.get("hooks", ())
        )
        target.check_settings()
        return target

    def load(self) -> Observation:
        return self.run_scenario(Scenario(kind="load", plugin=self.base_target.spec, seed=self.seed), plain=True)

    def run_scenario(self, scenario: Scenario, *, plain: bool = False) -> Observation:
        if not self.cache and not plain:
            return self.sandboxes.run(scenario)
        with self._lock:
            known = self._observations.get(scenario.cache_key)
            if known is not None and _can_retry_longer(known, scenario):
                known = None
            future: Future[Observation] = known or Future()
            if known is None:
                self._observations[scenario.cache_key] = future
        if known is not None:
            return known.result()
        try:
            observation = self.sandboxes.run(scenario)
        except BaseException as error:
            with self._lock:
                self._observations.pop(scenario.cache_key, None)
            future.set_exception(error)
            raise
        future.set_result(observation)
        return observation

    def ray_address(self) -> str:
        return self.sandboxes.ray_address()

    def peek_target(self) -> tuple[Target, Mapping[str, Any]]:
        """Return the target and the facts of loading, as far as they are known."""
        try:
            loaded = self.load().load_facts
            return self.target, loaded
        except UsageError:
            return self.base_target, loaded
        except SandboxBroken:
            return self.base_target, {}

    def read_curves(self) -> dict[str, Any]:
        """Return trial table, metrics and reports of a successful run, for the HTML report."""
        observations = [
            future.result() for future in self._observations.values() if future.done() and not future.exception()
        ]
        for observation in sorted(
            observations, key=lambda observation: (observation.scenario.kind != "tune", observation.folder.name)
        ):
            if observation.ok and observation.has_recording and observation.scenario.kind in ("train", "tune"):
                keep = ("category", "key", "value", "metrics", "trial_id", "time")
                metrics = [{key: row[key] for key in keep} for row in observation.recorder.metrics()[:2_000]]
                return {
                    "table": observation.recorder.last_table(),
                    "metrics": metrics,
                    "reports": observation.reports()[:2_000],
                }
        return {}

    def close(self) -> None:
        for future in self._observations.values():
            if future.done() and not future.exception() and "recorder" in vars(future.result()):
                future.result().recorder.close()
