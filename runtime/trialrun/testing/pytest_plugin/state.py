"""The state of conformance checks in one run of pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.harness import Session
from trialrun.testing.reports.reading import parse_outcome, parse_report
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.suite import Conformance
from trialrun.testing.verdicts import Outcome, Report, Verdict

__all__ = ["STATE", "PluginUnderTest", "State"]


class PluginUnderTest:
    """One checked plugin: its session, and its items that pytest kept or deselected."""

    def __init__(
        self,
        key: str,
        conformance: Conformance | None,
        *,
        cli_options: Mapping[str, Any],
        ini_options: Mapping[str, Any],
        sandboxes: SandboxPool,
    ) -> None:
        """`cli_options` override the test file, which overrides `ini_options`."""
        self._sandboxes = sandboxes
        self.key = key
        self._conformance = conformance
        self._cli_options = cli_options
        self._ini_options = ini_options
        self._sessions: list[tuple[dict[str, Any], Session]] = []
        self.kept: set[str] = set()
        self.deselected: set[str] = set()
        self.session = self._open_session({})

    def session_with(self, settings: Mapping[str, Any]) -> Session:
        """Return the session for the settings of the fixture `trialrun_settings`."""
        known = (session for given, session in self._sessions if given == settings)
        self.session = next(known, None) or self._open_session(settings)
        return self.session

    def _open_session(self, settings: Mapping[str, Any]) -> Session:
        own = {} if self._conformance is None else self._conformance.options
        spec = None if self._conformance is None else self._conformance.spec
        options = {**self._ini_options, **settings, **own, **self._cli_options}
        session = Session(spec, sandboxes=self._sandboxes, **options)
        self._sessions.append((dict(settings), session))
        return session

    def build_report(self, outcomes: Mapping[str, Outcome]) -> Report:
        """Return the session's report, with pytest's selection of checks."""
        report = self.session.report()
        return replace(report, outcomes=tuple(self._overlay_outcome(outcome, outcomes) for outcome in report.outcomes))

    def _overlay_outcome(self, outcome: Outcome, outcomes: Mapping[str, Outcome]) -> Outcome:
        if outcome.id in outcomes:
            return outcomes[outcome.id]
        if outcome.id not in self.session.chosen or outcome.id in self.kept:
            return outcome
        if outcome.id in self.deselected:
            return replace(outcome, verdict=Verdict.NOT_RUN, message="deselected", selected=True)
        return replace(outcome, verdict=Verdict.NOT_RUN, message="not selected", selected=False)

    def close(self) -> None:
        for _, session in self._sessions:
            session.close()


@dataclass(slots=True, kw_only=True)
class State:
    """Outcomes and worker reports as JSON, as workers of xdist send them."""

    cli_options: Mapping[str, Any]
    ini_options: Mapping[str, Any]
    sandboxes: SandboxPool = field(default_factory=SandboxPool)
    targets: dict[str, PluginUnderTest] = field(default_factory=dict)
    outcomes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # target -> check -> outcome
    context: dict[str, dict[str, Any]] = field(default_factory=dict)  # target -> a report from any worker
    files: list[Path] = field(default_factory=list)
    final: dict[str, Report] = field(default_factory=dict)

    def receive_outcome(self, message: Mapping[str, Any]) -> None:
        """Store the outcome that a test report carries; a rerun replaces it."""
        self.outcomes.setdefault(message["target"], {})[message["outcome"]["id"]] = dict(message["outcome"])

    def close(self) -> None:
        for target in self.targets.values():
            target.close()
        self.sandboxes.close()

    def active_targets(self) -> list[str]:
        """Return the targets with at least one check that pytest kept."""
        return [key for key, target in self.targets.items() if target.kept]

    def export_reports(self) -> dict[str, Any]:
        """Return the reports that a worker sends to the controller at its end."""
        return {key: self._build_report(key).to_json() for key in self.active_targets() if self.outcomes.get(key)}

    def _build_report(self, key: str) -> Report:
        outcomes = {name: parse_outcome(data) for name, data in self.outcomes.get(key, {}).items()}
        return self.targets[key].build_report(outcomes)

    def merge_worker_reports(self, sent: Mapping[str, Any]) -> None:
        """Merge the reports of a worker. Their outcomes came with the test reports already."""
        for key, report in sent.items():
            known = self.context.setdefault(key, report)
            if not known.get("recording") and report.get("recording"):
                self.context[key] = {**known, "recording": report["recording"]}
            seen = {*known["capabilities"]["observed"], *report["capabilities"]["observed"]}
            self.context[key]["capabilities"] = {**known["capabilities"], "observed": sorted(seen)}

    def final_reports(self) -> dict[str, Report]:
        """Return the final report of each target."""
        here = {key: self._build_report(key) for key in self.active_targets()}
        return {**here, **{key: self._merge_outcomes(key, context) for key, context in self.context.items()}}

    def _merge_outcomes(self, key: str, context: Mapping[str, Any]) -> Report:
        outcomes = self.outcomes.get(key, {})
        checks = [outcomes.get(check["id"], check) for check in context["checks"]]
        return parse_report({**context, "checks": checks})


STATE = pytest.StashKey[State]()
