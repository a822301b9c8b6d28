"""The report as SARIF 2.1.0, which code hosts show beside the lines of the plugin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trialrun._version import __version__
from trialrun.testing.reports.text import Json, clean_text, is_red
from trialrun.testing.verdicts import Verdict

__all__ = ["render_report"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_report(report: Json, root: Path | None = None) -> str:
    """Return SARIF results for red checks, errors and waived checks (suppressed).

    Files below `root`, by default the current folder, are named relative to it, as code hosts expect.
    """
    reported = [
        check for check in report["checks"] if is_red(check) or check["verdict"] in (Verdict.WAIVED, Verdict.ERROR)
    ]
    base = (root or Path.cwd()).absolute()
    rules = [check for check in report["checks"] if check in reported]
    run = {
        "tool": {
            "driver": {"name": "trialrun", "semanticVersion": __version__, "rules": [_build_rule(c) for c in rules]}
        },
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": f"trialrun/{clean_text(report['plugin']['name'])}"},
        "originalUriBaseIds": {"SRCROOT": {"uri": base.as_uri() + "/"}},
        "invocations": [_build_invocation(report)],
        "results": [_build_result(check, number, report, base) for number, check in enumerate(reported)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _build_rule(check: Json) -> dict[str, Any]:
    return {
        "id": check["id"],
        "name": f"{check['id']}",
        "shortDescription": {"text": check["title"]},
        "fullDescription": {"text": check["why"] or check["title"]},
        "help": {"text": f"{check['fix']}\n\nRun: trialrun explain {check['id']}"},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": [check["family"], check["level"]]},
    }


def _build_result(check: Json, number: int, report: Json, base: Path) -> dict[str, Any]:
    text = clean_text(check["message"] or check["title"])
    result: dict[str, Any] = {
        "ruleId": check["id"],
        "ruleIndex": number,
        "level": "error" if is_red(check) else "warning",
        "message": {"text": f"{text}\n{check['fix']}" if check["fix"] else text},
        "locations": _build_locations(check, report, base),
        "partialFingerprints": {"trialrunSignature/v1": f"{check['id']}:{clean_text(check['signature'])}"},
    }
    if check["verdict"] == Verdict.WAIVED:
        result["suppressions"] = [{"kind": "external", "justification": clean_text(check["message"])}]
    return result


def _build_locations(check: Json, report: Json, base: Path) -> list[dict[str, Any]]:
    where = check["where"] or _find_plugin_location(report)
    if where is None:
        return []
    region = {"startLine": int(where["line"])}
    return [{"physicalLocation": {"artifactLocation": _build_artifact_location(where["file"], base), "region": region}}]


def _find_plugin_location(report: Json) -> Json | None:
    """Return line 1 of the plugin's file, for outcomes without a location; None when there is no file."""
    found = next((check["where"] for check in report["checks"] if check["where"]), None)
    if found is not None:
        return {"file": found["file"], "line": 1}
    path = Path(report["plugin"]["name"])
    return {"file": str(path), "line": 1} if path.suffix == ".py" and path.is_file() else None


def _build_artifact_location(file: str, base: Path) -> dict[str, str]:
    path = Path(file).absolute()
    if path.is_relative_to(base):
        return {"uri": quote(path.relative_to(base).as_posix()), "uriBaseId": "SRCROOT"}
    return {"uri": path.as_uri()}


def _build_invocation(report: Json) -> dict[str, Any]:
    notes: Iterable[str] = report["notes"]
    return {
        "executionSuccessful": report["result"]["exit_code"] in (0, 1),
        "exitCode": report["result"]["exit_code"],
        "toolExecutionNotifications": [{"level": "note", "message": {"text": clean_text(note)}} for note in notes],
    }
