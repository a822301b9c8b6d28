"""SARIF and JUnit files have the form that their readers demand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema

from trialrun.testing.reports import write_reports

LEVEL = {"enum": ["none", "note", "warning", "error"]}
TEXT = {"type": "string"}


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def a_list(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


# Of SARIF 2.1.0 (OASIS, sections 3.13 to 3.58): the objects that we write, with what they require and allow of it.
MESSAGE = an_object("text", text=TEXT)
ARTIFACT = an_object("uri", uri={**TEXT, "pattern": r"^\S+$"}, uriBaseId=TEXT)
REGION = an_object("startLine", startLine={"type": "integer", "minimum": 1})
LOCATION = an_object(physicalLocation=an_object("artifactLocation", artifactLocation=ARTIFACT, region=REGION))
RULE = an_object(
    "id",
    id=TEXT,
    name=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=an_object(level=LEVEL),
    properties=an_object(tags=a_list(TEXT, uniqueItems=True)),
)
RESULT = an_object(
    "message",
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=MESSAGE,
    locations=a_list(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    suppressions=a_list(an_object("kind", kind={"enum": ["inSource", "external"]}, justification=TEXT)),
)
RUN = an_object(
    "tool",
    tool=an_object("driver", driver=an_object("name", name=TEXT, semanticVersion=TEXT, rules=a_list(RULE))),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    automationDetails=an_object(id=TEXT),
    originalUriBaseIds={"additionalProperties": an_object("uri", uri={**TEXT, "pattern": "^file:///.*/$"})},
    invocations=a_list(
        an_object(
            "executionSuccessful",
            executionSuccessful={"type": "boolean"},
            exitCode={"type": "integer"},
            toolExecutionNotifications=a_list(an_object("message", level=LEVEL, message=MESSAGE)),
        )
    ),
    results=a_list(RESULT),
)
SARIF = an_object(
    "version", "runs", **{"$schema": {**TEXT, "format": "uri"}, "version": {"const": "2.1.0"}, "runs": a_list(RUN)}
)


def test_sarif_is_what_the_standard_describes(report: Any, tmp_path: Path) -> None:
    path = tmp_path / "check.sarif"
    write_reports(report, {"sarif": path})
    jsonschema.Draft202012Validator(SARIF).validate(json.loads(path.read_text("utf-8")))


def test_junit_is_what_its_readers_take(report: Any, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_reports(report, {"junit": path})
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "skipped", "time"} <= set(suite.keys())
        kinds = [child.tag for child in suite]
        assert kinds == ["properties", *["testcase"] * (len(kinds) - 1)]
        assert int(suite.get("tests", "")) == len(kinds) - 1
        for case in suite.iter("testcase"):
            assert {"name", "classname", "time"} <= set(case.keys())
            assert float(case.get("time", "")) >= 0
            assert {child.tag for child in case} <= {"properties", "skipped", "error", "failure"}
