"""The context of one check: it runs scenarios and records evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from trialrun.testing.observation import Observation
from trialrun.testing.scenario import Scenario
from trialrun.testing.target import BUILT_IN_ROWS, Target
from trialrun.testing.verdicts import CheckFailed, NotApplicable, Vacuous

__all__ = ["PLAIN_S", "CheckContext", "ScenarioRunner"]

PLAIN_S = 20.0
"""Time limit in seconds of a plain job. All checks share its one run, so a plugin that hangs costs this once."""


class ScenarioRunner(Protocol):
    """Runs scenarios for a context, with the state that all checks of a session share."""

    @property
    def target(self) -> Target: ...
    def run_scenario(self, scenario: Scenario, *, plain: bool = False) -> Observation: ...
    def load(self) -> Observation: ...
    def ray_address(self) -> str: ...


class CheckContext:
    """Runs scenarios for one check. `evidence` goes into the report."""

    def __init__(
        self, runner: ScenarioRunner, *, timeout_s: float = 20.0, remaining: Callable[[], float] | None = None
    ) -> None:
        self._runner = runner
        self._timeout_s = timeout_s
        self._remaining = remaining or (lambda: timeout_s)
        self._waited = 0.0
        self.evidence: dict[str, Any] = {}
        self.observations: list[Observation] = []

    @property
    def target(self) -> Target:
        """The plugin and its settings, with every default filled in."""
        return self._runner.target

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities that the plugin declares."""
        return self.target.capabilities or frozenset()

    def is_declared(self, capability: str) -> bool:
        return capability in self.capabilities

    # running scenarios

    def load(self) -> Observation:
        """Import the plugin in a fresh process, and describe it."""
        observation = self._runner.load()
        self.observations.append(observation)
        return observation

    def train(self, **overrides: Any) -> Observation:
        """Run one training job. `overrides` are fields of Scenario."""
        return self.run(self.build_scenario("train", **overrides))

    def tune(self, **overrides: Any) -> Observation:
        """Run one tuning job; `tune_config` is merged into the target's metric and mode and num_samples=2."""
        return self.run(self.build_scenario("tune", **overrides))

    def probe(self, function: str, **options: Any) -> Observation:
        """Call `module:function` of trialrun in a fresh child process; see `Observation.probe_answer`."""
        return self.run(self.build_scenario("probe", probe=function, options=options))

    def build_scenario(self, kind: Any, **overrides: Any) -> Scenario:
        """Return a scenario with the target's settings; `overrides` are fields of Scenario."""
        target = self.target
        config = {"metric": target.metric, "mode": target.mode, "num_samples": 2, **overrides.pop("tune_config", {})}
        values: dict[str, Any] = {
            "hyperparameter": dict(target.hyperparameter or {}),
            "space": tuple(target.space or ()),
            "tune_config": config,
            "dataset": target.dataset if target.dataset is not None else list(BUILT_IN_ROWS),
            "timeout_s": self._timeout_s,
            **overrides,
        }
        if values.get("checkpoint") is not None:
            values["checkpoint"] = str(values["checkpoint"])
        if values.get("executor") == "ray" and not values.get("address"):
            values["address"] = self._runner.ray_address()
        return Scenario(kind=kind, plugin=target.spec, **values)

    def run(self, scenario: Scenario) -> Observation:
        """Run a scenario, for no longer than the check's remaining time.

        Raises Vacuous when a plain job does not end: no other would either, and each would use up its whole time.
        """
        if self._is_plain(scenario):
            scenario = replace(scenario, timeout_s=min(scenario.timeout_s, PLAIN_S))
        else:
            self._check_plain_run(scenario)
        left = max(0.5, min(scenario.timeout_s, self._remaining() + self._waited))
        observation = self._runner.run_scenario(replace(scenario, timeout_s=left))
        self.observations.append(observation)
        if observation.timed_out and left < scenario.timeout_s / 2:
            raise Vacuous(
                f"the check's time ran out after {len(self.observations)} runs: this one had only {left:.1f} s left"
            )
        return observation

    def _is_plain(self, scenario: Scenario) -> bool:
        """Return whether this is the plain job; raise Vacuous when the plugin does not load."""
        self._require_end(self._runner.load)
        return scenario.kind in ("train", "tune") and self.build_scenario(scenario.kind).cache_key == scenario.cache_key

    def _check_plain_run(self, scenario: Scenario) -> None:
        """Raise Vacuous unless the plain job ends; its run does not count against this check's time."""
        if scenario.kind in ("train", "tune"):
            plain = self.build_scenario(scenario.kind, timeout_s=min(self._timeout_s, PLAIN_S))
            self._require_end(lambda: self._runner.run_scenario(plain, plain=True))

    def _require_end(self, run: Callable[[], Observation]) -> None:
        started = time.monotonic()
        observation = run()
        self._waited += time.monotonic() - started
        if not observation.has_ended:
            raise Vacuous(
                f"a plain {observation.scenario.kind} run of the plugin does not end: {observation.status_text}"
            )

    # verdicts

    def fail(self, message: str, *, signature: str, where: tuple[str, int] | None = None) -> NoReturn:
        """Raise CheckFailed: the plugin breaks the promise."""
        raise CheckFailed(message, where=where, signature=signature)

    def expect(self, condition: object, message: str, *, signature: str, where: tuple[str, int] | None = None) -> None:
        """Fail unless the condition is true."""
        if not condition:
            self.fail(message, signature=signature, where=where)

    def raise_vacuous(self, reason: str) -> NoReturn:
        raise Vacuous(reason)

    def raise_not_applicable(self, reason: str) -> NoReturn:
        raise NotApplicable(reason)

    def require_events(self, observation: Observation, kind: str, least: int = 1) -> list[dict[str, Any]]:
        """Return the recorded events of a kind; raise Vacuous when there are fewer than `least`."""
        events = observation.recorder.events(kind)
        self.evidence[kind] = max(len(events), self.evidence.get(kind, 0))
        if len(events) < least:
            raise Vacuous(f"no {kind} event was recorded" if not events else f"only {len(events)} {kind} events")
        return events

    def require_calls(self, observation: Observation, *names: str, least: int = 1) -> list[dict[str, Any]]:
        """Return the calls of these methods of `run`; raise Vacuous when there are fewer than `least`."""
        calls = [call for call in observation.calls if call["name"] in names]
        for name in names:
            self.evidence[f"run.{name}"] = sum(call["name"] == name for call in calls)
        if len(calls) < least:
            raise Vacuous(f"the plugin did not call {_format_names(names)}")
        return calls

    def note(self, **facts: Any) -> None:
        """Add facts to the evidence of the report."""
        self.evidence.update(facts)

    def require_ok(self, observation: Observation) -> Observation:
        """Return the observation; raise Vacuous when its run failed, which another check reports."""
        if not observation.ok:
            raise Vacuous(f"the {observation.scenario.kind} run did not succeed: {observation.status_text}")
        return observation

    def locate_hook(self, hook: str = "train") -> tuple[str, int] | None:
        """Return file and line of the plugin's hook, or None."""
        signature: Mapping[str, Any] | None = self._runner.load().hook_signatures.get(hook)
        return (signature["file"], signature["line"]) if signature and signature.get("file") else None


def _format_names(names: Iterable[str]) -> str:
    return ", ".join(f"run.{name}" for name in names)
