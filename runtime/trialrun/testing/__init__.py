"""Conformance checks of a plugin, for use from Python.

report = trialrun.testing.check_plugin("./my_plugin")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trialrun.testing.harness import Session, check_plugin, iterate
    from trialrun.testing.registry import Check, all_checks, check
    from trialrun.testing.suite import TrainPluginSuite, conformance
    from trialrun.testing.verdicts import CheckFailed, NotApplicable, Outcome, Report, Vacuous, Verdict, report_schema

__all__ = [
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Outcome",
    "Report",
    "Session",
    "TrainPluginSuite",
    "Vacuous",
    "Verdict",
    "all_checks",
    "check",
    "check_plugin",
    "conformance",
    "iterate",
    "report_schema",
]

_HOMES = {
    "harness": ("Session", "check_plugin", "iterate"),
    "registry": ("Check", "all_checks", "check"),
    "suite": ("TrainPluginSuite", "conformance"),
    "verdicts": ("CheckFailed", "NotApplicable", "Outcome", "Report", "Vacuous", "Verdict", "report_schema"),
}


def __getattr__(name: str) -> object:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next access does not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
