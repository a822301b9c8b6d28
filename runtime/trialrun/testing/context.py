"""The lab: where one check puts a plugin through scenarios."""

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
"""What a plain job may take, in whichever check comes first: it is played once, and one that hangs hangs once."""


class ScenarioRunner(Protocol):
    """What a lab works at: a stage for scenes, with what all checks of a session share."""

    @property
    def target(self) -> Target: ...
    @property
    def capabilities_seen(self) -> set[str]: ...
    def run_scenario(self, scenario: Scenario, *, plain: bool = False) -> Observation: ...
    def load(self) -> Observation: ...
    def ray_address(self) -> str: ...


class CheckContext:
    """Belongs to one check. `evidence` is what the check saw; it goes into the report."""

    def __init__(
        self, bench: ScenarioRunner, *, timeout_s: float = 20.0, remaining: Callable[[], float] | None = None
    ) -> None:
        self._bench = bench
        self._timeout_s = timeout_s
        self._remaining = remaining or (lambda: timeout_s)
        self._waited = 0.0
        self.evidence: dict[str, Any] = {}
        self.scenes: list[Observation] = []

    @property
    def target(self) -> Target:
        """With every default settled."""
        return self._bench.target

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities that the plugin declares."""
        return self.target.capabilities or frozenset()

    def is_declared(self, capability: str) -> bool:
        return capability in self.capabilities

    # scenes

    def load(self) -> Observation:
        """The plugin imported in a fresh process, and looked at."""
        scene = self._bench.load()
        self.scenes.append(scene)
        return scene

    def train(self, **overrides: Any) -> Observation:
        """One training job. `overrides` are fields of Scenario."""
        return self.run(self.build_scenario("train", **overrides))

    def tune(self, **overrides: Any) -> Observation:
        """One tuning job; `tune_config` overrides are merged into metric, mode, num_samples=2."""
        return self.run(self.build_scenario("tune", **overrides))

    def probe(self, function: str, **options: Any) -> Observation:
        """Call `module:function` of ours in a fresh child with the plugin and the scenario; see `Scene.answer`."""
        return self.run(self.build_scenario("probe", probe=function, options=options))

    def build_scenario(self, kind: Any, **overrides: Any) -> Scenario:
        subject = self.target
        config = {"metric": subject.metric, "mode": subject.mode, "num_samples": 2, **overrides.pop("tune_config", {})}
        values: dict[str, Any] = {
            "hyperparameter": dict(subject.hyperparameter or {}),
            "space": tuple(subject.space or ()),
            "tune_config": config,
            "dataset": subject.dataset if subject.dataset is not None else list(BUILT_IN_ROWS),
            "timeout_s": self._timeout_s,
            **overrides,
        }
        if values.get("checkpoint") is not None:
            values["checkpoint"] = str(values["checkpoint"])
        if values.get("executor") == "ray" and not values.get("address"):
            values["address"] = self._bench.ray_address()
        return Scenario(kind=kind, plugin=subject.spec, **values)

    def run(self, scenario: Scenario) -> Observation:
        """Play a scenario; no longer than what is left of the check's time.

        Vacuous when a plain one does not come to its end: then no other would, and each would take all of its time.
        """
        if self._is_plain(scenario):
            scenario = replace(scenario, timeout_s=min(scenario.timeout_s, PLAIN_S))
        else:
            self._check_plain_run(scenario)
        left = max(0.5, min(scenario.timeout_s, self._remaining() + self._waited))
        scene = self._bench.run_scenario(replace(scenario, timeout_s=left))
        self.scenes.append(scene)
        if scene.timed_out and left < scenario.timeout_s / 2:
            raise Vacuous(
                f"the check's time ran out after {len(self.scenes)} runs: the plugin had {left:.1f} s for this one"
            )
        return scene

    def _is_plain(self, scenario: Scenario) -> bool:
        """Whether it is the usual job; Vacuous when the plugin does not even load."""
        self._require_end(self._bench.load)
        return scenario.kind in ("train", "tune") and self.build_scenario(scenario.kind).cache_key == scenario.cache_key

    def _check_plain_run(self, scenario: Scenario) -> None:
        """See whether a plain job ends; that is not on this check's time."""
        if scenario.kind in ("train", "tune"):
            plain = self.build_scenario(scenario.kind, timeout_s=min(self._timeout_s, PLAIN_S))
            self._require_end(lambda: self._bench.run_scenario(plain, plain=True))

    def _require_end(self, play: Callable[[], Observation]) -> None:
        started = time.monotonic()
        found = play()
        self._waited += time.monotonic() - started
        if not found.has_ended:
            raise Vacuous(f"a plain {found.scenario.kind} of the plugin does not come to its end: {found.status_text}")

    # verdicts

    def fail(self, message: str, *, signature: str, where: tuple[str, int] | None = None) -> NoReturn:
        """The plugin breaks the promise."""
        raise CheckFailed(message, where=where, signature=signature)

    def expect(self, held: object, message: str, *, signature: str, where: tuple[str, int] | None = None) -> None:
        """Fail unless it held."""
        if not held:
            self.fail(message, signature=signature, where=where)

    def raise_vacuous(self, reason: str) -> NoReturn:
        raise Vacuous(reason)

    def raise_not_applicable(self, reason: str) -> NoReturn:
        raise NotApplicable(reason)

    def require_events(self, scene: Observation, kind: str, least: int = 1) -> list[dict[str, Any]]:
        """The recorded events of a kind; Vacuous when there are fewer than `least`: then nothing could have failed."""
        events = scene.recorder.events(kind)
        self.evidence[kind] = max(len(events), self.evidence.get(kind, 0))
        if len(events) < least:
            raise Vacuous(f"no {kind} event was recorded" if not events else f"only {len(events)} {kind} events")
        return events

    def require_calls(self, scene: Observation, *names: str, least: int = 1) -> list[dict[str, Any]]:
        """The uses of `run` of these names; Vacuous when there are fewer than `least`."""
        calls = [call for call in scene.calls if call["name"] in names]
        for name in names:
            self.evidence[f"run.{name}"] = sum(call["name"] == name for call in calls)
        if len(calls) < least:
            raise Vacuous(f"the plugin made no call of {_format_names(names)}")
        return calls

    def record_capability(self, capability: str) -> None:
        """Say that the plugin was seen to have a capability."""
        self._bench.capabilities_seen.add(capability)

    def note(self, **facts: Any) -> None:
        """Remember what was seen, for the report."""
        self.evidence.update(facts)

    def require_ok(self, scene: Observation) -> Observation:
        """Give the scene; Vacuous when it did not end well: another check says why, this one could not look."""
        if not scene.ok:
            raise Vacuous(f"the {scene.scenario.kind} run did not succeed: {scene.status_text}")
        return scene

    def locate_hook(self, hook: str = "train") -> tuple[str, int] | None:
        """File and line of the plugin's hook."""
        found: Mapping[str, Any] | None = self._bench.load().hook_signatures.get(hook)
        return (found["file"], found["line"]) if found and found.get("file") else None


def _format_names(names: Iterable[str]) -> str:
    return ", ".join(f"run.{name}" for name in names)
