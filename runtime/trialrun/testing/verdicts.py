"""Verdicts of checks, and the report that sums them up for a plugin."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "CAPABILITIES",
    "CONFORMANT",
    "CONTRACT_VERSION",
    "INTERRUPTED",
    "NOT_CONFORMANT",
    "UNABLE",
    "CheckFailed",
    "Level",
    "NotApplicable",
    "Outcome",
    "Report",
    "Vacuous",
    "Verdict",
    "report_schema",
]

CONTRACT_VERSION = "1.0"

CONFORMANT, NOT_CONFORMANT, UNABLE, INTERRUPTED = 0, 1, 2, 130

Level = Literal["core", "extended"]

CAPABILITIES = ("tunes", "resumes", "gpu", "deterministic")
"""The capabilities that a plugin may declare."""


class CheckFailed(Exception):
    """The plugin breaks a promise of the contract.

    `signature` names the failure in stable words, without numbers and paths; `where` is a file and line of the plugin.
    """

    def __init__(self, message: str, *, where: tuple[str, int] | None = None, signature: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.signature = signature


class Vacuous(Exception):
    """The check observed nothing that could have failed."""


class NotApplicable(Exception):
    """The check tests a promise that this plugin does not make."""


class Verdict(enum.StrEnum):
    """The result of one check. FAIL: the plugin is wrong. ERROR: the harness failed. VACUOUS: nothing was observed."""

    PASS = "pass"  # noqa: S105  # a verdict
    FAIL = "fail"
    VACUOUS = "vacuous"
    NA = "n/a"
    WAIVED = "waived"
    NOT_RUN = "not run"
    ERROR = "error"


RAN_VERDICTS = (Verdict.PASS, Verdict.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one check.

    `signature` names the failure in stable words. `where` is the file and line of the plugin that it concerns. `fix`
    says what to do. `repro` is the path of a script that shows the failure. `evidence` holds what the check observed.
    `selected` is False when the profile or the selection leaves the check out. `seconds` is wall-clock time.
    """

    id: str
    title: str
    verdict: Verdict
    level: Level
    family: str
    seconds: float = 0.0
    message: str = ""
    why: str = ""
    fix: str = ""
    signature: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    where: tuple[str, int] | None = None
    repro: str | None = None
    selected: bool = True

    @property
    def is_red(self) -> bool:
        """Return whether this outcome makes the plugin not conformant."""
        if self.verdict is Verdict.FAIL:
            return True
        unseen = self.verdict in (Verdict.VACUOUS, Verdict.NOT_RUN)
        return unseen and self.level == "core" and self.selected

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "verdict": str(self.verdict),
            "level": self.level,
            "family": self.family,
            "seconds": round(self.seconds, 4),
            "message": self.message,
            "why": self.why,
            "fix": self.fix,
            "signature": self.signature,
            "evidence": _to_json_value(self.evidence),
            "where": None if self.where is None else {"file": self.where[0], "line": self.where[1]},
            "repro": self.repro,
            "selected": self.selected,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcomes of all checks of one plugin. `notes` are remarks about the run, such as an unused waiver."""

    plugin: str
    plugin_hash: str
    profile: str
    seed: int
    environment: Mapping[str, str]
    declared: tuple[str, ...]
    observed: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    contract: str = CONTRACT_VERSION
    curves: Mapping[str, Any] = field(default_factory=dict)  # a recorded trial table and metrics, for the HTML page

    def of(self, *verdicts: Verdict) -> tuple[Outcome, ...]:
        """Return the outcomes with one of these verdicts, by id."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict in verdicts)

    @property
    def ledger(self) -> dict[str, int]:
        """Counts by verdict: ran + not applicable + waived + not run = total, all checks of the contract."""
        ran = len(self.of(*RAN_VERDICTS))
        na, waived = len(self.of(Verdict.NA)), len(self.of(Verdict.WAIVED))
        total = len(self.outcomes)
        return {
            "ran": ran,
            "passed": len(self.of(Verdict.PASS)),
            "failed": len(self.of(Verdict.FAIL)),
            "not_applicable": na,
            "waived": waived,
            "not_run": total - ran - na - waived,
            "vacuous": len(self.of(Verdict.VACUOUS)),
            "errors": len(self.of(Verdict.ERROR)),
            "total": total,
        }

    @property
    def is_partial(self) -> bool:
        """Return whether a core check came to no verdict, for any reason."""
        unseen = (Verdict.VACUOUS, Verdict.NOT_RUN, Verdict.ERROR)
        return any(outcome.level == "core" for outcome in self.of(*unseen))

    @property
    def is_conformant(self) -> bool:
        return self.exit_code == CONFORMANT and not self.is_partial

    @property
    def exit_code(self) -> int:
        """0: every selected check passed. 1: one failed. 2: the verdict is unknown. 130: interrupted."""
        if self.interrupted:
            return INTERRUPTED
        if any(outcome.is_red for outcome in self.outcomes):
            return NOT_CONFORMANT
        if self.of(Verdict.ERROR) or not self.of(*RAN_VERDICTS, Verdict.WAIVED):
            return UNABLE
        return CONFORMANT

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        return {
            CONFORMANT: "partial" if self.is_partial else "conformant",
            NOT_CONFORMANT: "not conformant",
            UNABLE: "could not be told",
            INTERRUPTED: "interrupted",
        }[self.exit_code]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data; `report_schema()` describes it."""
        return {
            "contract": self.contract,
            "plugin": {"name": self.plugin, "hash": self.plugin_hash},
            "profile": self.profile,
            "seed": self.seed,
            "environment": dict(self.environment),
            "capabilities": {"declared": list(self.declared), "observed": list(self.observed)},
            "result": {
                "headline": self.headline,
                "exit_code": self.exit_code,
                "conformant": self.is_conformant,
                "partial": self.is_partial,
            },
            "ledger": self.ledger,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "checks": [outcome.to_dict() for outcome in self.outcomes],
            "recording": _to_json_value(self.curves),
        }


def _to_json_value(value: Any) -> Any:
    """Return `value` as JSON data; a value that JSON cannot hold becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _to_json_value(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Iterable):
        return [_to_json_value(item) for item in value]
    return str(value)


def _object_schema(properties: dict[str, Any], *, required: Iterable[str] | None = None) -> dict[str, Any]:
    needed = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a report."""
    text, count, flag, number = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}, "number"
    seconds = {"type": number, "minimum": 0}
    texts = {"type": "array", "items": text}
    place = _object_schema({"file": text, "line": {"type": "integer", "minimum": 1}})
    check = _object_schema(
        {
            "id": {"type": "string", "pattern": "^TR[1-9][0-9]{2}$"},
            "title": text,
            "verdict": {"enum": [str(verdict) for verdict in Verdict]},
            "level": {"enum": ["core", "extended"]},
            "family": text,
            "seconds": seconds,
            "message": text,
            "why": text,
            "fix": text,
            "signature": text,
            "evidence": {"type": "object"},
            "where": {"anyOf": [{"type": "null"}, place]},
            "repro": {"type": ["string", "null"]},
            "selected": flag,
        }
    )
    names = ("ran", "passed", "failed", "not_applicable", "waived", "not_run", "vacuous", "errors", "total")
    report = _object_schema(
        {
            "contract": text,
            "plugin": _object_schema({"name": text, "hash": text}),
            "profile": text,
            "seed": {"type": "integer"},
            "environment": {"type": "object", "additionalProperties": text},
            "capabilities": _object_schema({"declared": texts, "observed": texts}),
            "result": _object_schema({"headline": text, "exit_code": count, "conformant": flag, "partial": flag}),
            "ledger": _object_schema(dict.fromkeys(names, count)),
            "seconds": seconds,
            "notes": texts,
            "checks": {"type": "array", "items": check},
            "recording": {"type": "object"},
        }
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "trialrun conformance report", **report}
