"""What one run of pytest knows of its conformance checks."""

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
    """One plugin under check: its session, and what pytest did with its items."""

    def __init__(
        self,
        key: str,
        conformance: Conformance | None,
        *,
        asked: Mapping[str, Any],
        written: Mapping[str, Any],
        host: SandboxPool,
    ) -> None:
        """`asked` is the command line, which goes before the test file; that goes before the ini file's `written`."""
        self._host = host
        self.key = key
        self._conformance = conformance
        self._asked = asked
        self._written = written
        self._sessions: list[tuple[dict[str, Any], Session]] = []
        self.kept: set[str] = set()
        self.deselected: set[str] = set()
        self.session = self._open_session({})

    def session_with(self, settings: Mapping[str, Any]) -> Session:
        """The session for what the fixture `trialrun_settings` gave."""
        self.session = next((made for given, made in self._sessions if given == settings), None) or self._open_session(
            settings
        )
        return self.session

    def _open_session(self, settings: Mapping[str, Any]) -> Session:
        own = {} if self._conformance is None else self._conformance.options
        spec = None if self._conformance is None else self._conformance.spec
        session = Session(spec, host=self._host, **{**self._written, **settings, **own, **self._asked})
        self._sessions.append((dict(settings), session))
        return session

    def build_report(self, outcomes: Mapping[str, Outcome]) -> Report:
        """The session's report with pytest's view of what was asked for."""
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
    """`outcomes` and `context` hold JSON: what a worker of xdist sends is the same as what is kept here."""

    asked: Mapping[str, Any]
    written: Mapping[str, Any]
    host: SandboxPool = field(default_factory=SandboxPool)
    targets: dict[str, PluginUnderTest] = field(default_factory=dict)
    outcomes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by target, by check
    context: dict[str, dict[str, Any]] = field(default_factory=dict)  # by target: a report, from any worker
    files: list[Path] = field(default_factory=list)
    final: dict[str, Report] = field(default_factory=dict)

    def receive_outcome(self, said: Mapping[str, Any]) -> None:
        """Take in what a test report carries. A check that ran is not forgotten when it is run again and skipped."""
        self.outcomes.setdefault(said["target"], {})[said["outcome"]["id"]] = dict(said["outcome"])

    def close(self) -> None:
        for target in self.targets.values():
            target.close()
        self.host.close()

    def active_targets(self) -> list[str]:
        """The targets of which at least one check was up for running."""
        return [key for key, target in self.targets.items() if target.kept]

    def export_reports(self) -> dict[str, Any]:
        """What a worker tells the controller at its end."""
        return {key: self._build_report(key).to_json() for key in self.active_targets() if self.outcomes.get(key)}

    def _build_report(self, key: str) -> Report:
        outcomes = {name: parse_outcome(data) for name, data in self.outcomes.get(key, {}).items()}
        return self.targets[key].build_report(outcomes)

    def merge_worker_reports(self, sent: Mapping[str, Any]) -> None:
        """What a worker told. Its checks are all there, its outcomes came with the test reports."""
        for key, report in sent.items():
            known = self.context.setdefault(key, report)
            if not known.get("recording") and report.get("recording"):
                self.context[key] = {**known, "recording": report["recording"]}
            seen = {*known["capabilities"]["observed"], *report["capabilities"]["observed"]}
            self.context[key]["capabilities"] = {**known["capabilities"], "observed": sorted(seen)}

    def final_reports(self) -> dict[str, Report]:
        """The final report of each target."""
        here = {key: self._build_report(key) for key in self.active_targets()}
        return {**here, **{key: self._merge_outcomes(key, context) for key, context in self.context.items()}}

    def _merge_outcomes(self, key: str, context: Mapping[str, Any]) -> Report:
        came = self.outcomes.get(key, {})
        checks = [came.get(check["id"], check) for check in context["checks"]]
        return parse_report({**context, "checks": checks})


STATE = pytest.StashKey[State]()
