"""The lab: where one check puts a plugin through scenarios."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from trialrun.testing.observation import Scene
from trialrun.testing.registry import CheckFailed, NotApplicable, Vacuous
from trialrun.testing.scenario import Scenario
from trialrun.testing.target import BUILT_IN_ROWS, Subject

__all__ = ["PLAIN_S", "Bench", "Lab"]

PLAIN_S = 20.0
"""What a plain job may take, in whichever check comes first: it is played once, and one that hangs hangs once."""


class Bench(Protocol):
    """What a lab works at: a stage for scenes, with what all checks of a session share."""

    @property
    def subject(self) -> Subject: ...
    @property
    def observed(self) -> set[str]: ...
    def play(self, scenario: Scenario, *, plain: bool = False) -> Scene: ...
    def load(self) -> Scene: ...
    def ray_address(self) -> str: ...


class Lab:
    """Belongs to one check. `evidence` is what the check saw; it goes into the report."""

    def __init__(self, bench: Bench, *, timeout_s: float = 20.0, remaining: Callable[[], float] | None = None) -> None:
        self._bench = bench
        self._timeout_s = timeout_s
        self._remaining = remaining or (lambda: timeout_s)
        self._waited = 0.0
        self.evidence: dict[str, Any] = {}
        self.scenes: list[Scene] = []

    @property
    def subject(self) -> Subject:
        """With every default settled."""
        return self._bench.subject

    @property
    def declared(self) -> frozenset[str]:
        """The capabilities that the plugin declares."""
        return self.subject.capabilities or frozenset()

    def declares(self, capability: str) -> bool:
        return capability in self.declared

    # scenes

    def load(self) -> Scene:
        """The plugin imported in a fresh process, and looked at."""
        scene = self._bench.load()
        self.scenes.append(scene)
        return scene

    def train(self, **overrides: Any) -> Scene:
        """One training job. `overrides` are fields of Scenario."""
        return self.run(self.scenario("train", **overrides))

    def tune(self, **overrides: Any) -> Scene:
        """One tuning job; `tune_config` overrides are merged into metric, mode, num_samples=2."""
        return self.run(self.scenario("tune", **overrides))

    def probe(self, function: str, **options: Any) -> Scene:
        """Call `module:function` of ours in a fresh child with the plugin and the scenario; see `Scene.answer`."""
        return self.run(self.scenario("probe", probe=function, options=options))

    def scenario(self, kind: Any, **overrides: Any) -> Scenario:
        subject = self.subject
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

    def run(self, scenario: Scenario) -> Scene:
        """Play a scenario; no longer than what is left of the check's time.

        Vacuous when a plain one does not come to its end: then no other would, and each would take all of its time.
        """
        if self._is_plain(scenario):
            scenario = replace(scenario, timeout_s=min(scenario.timeout_s, PLAIN_S))
        else:
            self._look_before(scenario)
        left = max(0.5, min(scenario.timeout_s, self._remaining() + self._waited))
        scene = self._bench.play(replace(scenario, timeout_s=left))
        self.scenes.append(scene)
        if scene.timed_out and left < scenario.timeout_s / 2:
            raise Vacuous(
                f"the check's time ran out after {len(self.scenes)} runs: the plugin had {left:.1f} s for this one"
            )
        return scene

    def _is_plain(self, scenario: Scenario) -> bool:
        """Whether it is the usual job; Vacuous when the plugin does not even load."""
        self._see_to_the_end(self._bench.load)
        return scenario.kind in ("train", "tune") and self.scenario(scenario.kind).key == scenario.key

    def _look_before(self, scenario: Scenario) -> None:
        """See whether a plain job ends; that is not on this check's time."""
        if scenario.kind in ("train", "tune"):
            plain = self.scenario(scenario.kind, timeout_s=min(self._timeout_s, PLAIN_S))
            self._see_to_the_end(lambda: self._bench.play(plain, plain=True))

    def _see_to_the_end(self, play: Callable[[], Scene]) -> None:
        started = time.monotonic()
        found = play()
        self._waited += time.monotonic() - started
        if not found.ended:
            raise Vacuous(f"a plain {found.scenario.kind} of the plugin does not come to its end: {found.story}")

    # verdicts

    def fail(self, message: str, *, signature: str, where: tuple[str, int] | None = None) -> NoReturn:
        """The plugin breaks the promise."""
        raise CheckFailed(message, where=where, signature=signature)

    def expect(self, held: object, message: str, *, signature: str, where: tuple[str, int] | None = None) -> None:
        """Fail unless it held."""
        if not held:
            self.fail(message, signature=signature, where=where)

    def vacuous(self, reason: str) -> NoReturn:
        raise Vacuous(reason)

    def not_applicable(self, reason: str) -> NoReturn:
        raise NotApplicable(reason)

    def saw(self, scene: Scene, kind: str, least: int = 1) -> list[dict[str, Any]]:
        """The recorded events of a kind; Vacuous when there are fewer than `least`: then nothing could have failed."""
        events = scene.recorder.events(kind)
        self.evidence[kind] = max(len(events), self.evidence.get(kind, 0))
        if len(events) < least:
            raise Vacuous(f"no {kind} event was recorded" if not events else f"only {len(events)} {kind} events")
        return events

    def saw_calls(self, scene: Scene, *names: str, least: int = 1) -> list[dict[str, Any]]:
        """The uses of `run` of these names; Vacuous when there are fewer than `least`."""
        calls = [call for call in scene.calls if call["name"] in names]
        for name in names:
            self.evidence[f"run.{name}"] = sum(call["name"] == name for call in calls)
        if len(calls) < least:
            raise Vacuous(f"the plugin made no call of {_listed(names)}")
        return calls

    def observe(self, capability: str) -> None:
        """Say that the plugin was seen to have a capability."""
        self._bench.observed.add(capability)

    def note(self, **facts: Any) -> None:
        """Remember what was seen, for the report."""
        self.evidence.update(facts)

    def needs_ok(self, scene: Scene) -> Scene:
        """Give the scene; Vacuous when it did not end well: another check says why, this one could not look."""
        if not scene.ok:
            raise Vacuous(f"the {scene.scenario.kind} run did not succeed: {scene.story}")
        return scene

    def where(self, hook: str = "train") -> tuple[str, int] | None:
        """File and line of the plugin's hook."""
        found: Mapping[str, Any] | None = self._bench.load().signatures.get(hook)
        return (found["file"], found["line"]) if found and found.get("file") else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"run.{name}" for name in names)
