"""What one run of pytest knows of its conformance checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.harness import Session
from trialrun.testing.reports.reading import outcome_from, report_from
from trialrun.testing.sandbox_pool import Host
from trialrun.testing.suite import Conformance
from trialrun.testing.verdicts import Outcome, Report, Verdict

__all__ = ["STATE", "State", "Target"]


class Target:
    """One plugin under check: its session, and what pytest did with its items."""

    def __init__(
        self,
        key: str,
        conformance: Conformance | None,
        *,
        asked: Mapping[str, Any],
        written: Mapping[str, Any],
        host: Host,
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
        self.session = self._session_with({})

    def session_with(self, settings: Mapping[str, Any]) -> Session:
        """The session for what the fixture `trialrun_settings` gave."""
        self.session = next((made for given, made in self._sessions if given == settings), None) or self._session_with(
            settings
        )
        return self.session

    def _session_with(self, settings: Mapping[str, Any]) -> Session:
        own = {} if self._conformance is None else self._conformance.options
        spec = None if self._conformance is None else self._conformance.spec
        session = Session(spec, host=self._host, **{**self._written, **settings, **own, **self._asked})
        self._sessions.append((dict(settings), session))
        return session

    def report(self, outcomes: Mapping[str, Outcome]) -> Report:
        """The session's report with pytest's view of what was asked for."""
        report = self.session.report()
        return replace(report, outcomes=tuple(self._seen(outcome, outcomes) for outcome in report.outcomes))

    def _seen(self, outcome: Outcome, outcomes: Mapping[str, Outcome]) -> Outcome:
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
    host: Host = field(default_factory=Host)
    targets: dict[str, Target] = field(default_factory=dict)
    outcomes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by target, by check
    context: dict[str, dict[str, Any]] = field(default_factory=dict)  # by target: a report, from any worker
    files: list[Path] = field(default_factory=list)
    final: dict[str, Report] = field(default_factory=dict)

    def heard(self, said: Mapping[str, Any]) -> None:
        """Take in what a test report carries. A check that ran is not forgotten when it is run again and skipped."""
        self.outcomes.setdefault(said["target"], {})[said["outcome"]["id"]] = dict(said["outcome"])

    def close(self) -> None:
        for target in self.targets.values():
            target.close()
        self.host.close()

    def started(self) -> list[str]:
        """The targets of which at least one check was up for running."""
        return [key for key, target in self.targets.items() if target.kept]

    def send(self) -> dict[str, Any]:
        """What a worker tells the controller at its end."""
        return {key: self._own(key).to_json() for key in self.started() if self.outcomes.get(key)}

    def _own(self, key: str) -> Report:
        outcomes = {name: outcome_from(data) for name, data in self.outcomes.get(key, {}).items()}
        return self.targets[key].report(outcomes)

    def take(self, sent: Mapping[str, Any]) -> None:
        """What a worker told. Its checks are all there, its outcomes came with the test reports."""
        for key, report in sent.items():
            known = self.context.setdefault(key, report)
            if not known.get("recording") and report.get("recording"):
                self.context[key] = {**known, "recording": report["recording"]}
            seen = {*known["capabilities"]["observed"], *report["capabilities"]["observed"]}
            self.context[key]["capabilities"] = {**known["capabilities"], "observed": sorted(seen)}

    def reports(self) -> dict[str, Report]:
        """The final report of each target."""
        here = {key: self._own(key) for key in self.started()}
        return {**here, **{key: self._merged(key, context) for key, context in self.context.items()}}

    def _merged(self, key: str, context: Mapping[str, Any]) -> Report:
        came = self.outcomes.get(key, {})
        checks = [came.get(check["id"], check) for check in context["checks"]]
        return report_from({**context, "checks": checks})


STATE = pytest.StashKey[State]()
