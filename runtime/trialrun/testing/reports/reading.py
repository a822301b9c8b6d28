"""Reports and outcomes, read back from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialrun.testing.verdicts import INTERRUPTED, Outcome, Report, Verdict

__all__ = ["parse_outcome", "parse_report"]


def parse_outcome(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome of its JSON: the inverse of `Outcome.to_dict`."""
    where = data["where"]
    place = None if where is None else (str(where["file"]), int(where["line"]))
    return Outcome(**{**data, "verdict": Verdict(data["verdict"]), "where": place})


def parse_report(data: Mapping[str, Any]) -> Report:
    """Return the report of its JSON: the inverse of `Report.to_json`."""
    return Report(
        plugin=data["plugin"]["name"],
        plugin_hash=data["plugin"]["hash"],
        profile=data["profile"],
        seed=data["seed"],
        environment=data["environment"],
        declared=tuple(data["capabilities"]["declared"]),
        observed=tuple(data["capabilities"]["observed"]),
        outcomes=tuple(parse_outcome(check) for check in data["checks"]),
        seconds=data["seconds"],
        interrupted=data["result"]["exit_code"] == INTERRUPTED,
        notes=tuple(data["notes"]),
        contract=data["contract"],
        curves=data.get("recording", {}),
    )
