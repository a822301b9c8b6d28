"""The report as JUnit XML: one suite per family, one case per check."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from trialrun.testing.reports.text import Json, clean_text, format_location, is_red
from trialrun.testing.verdicts import Verdict

__all__ = ["render_report"]


def render_report(report: Json) -> str:
    """Return the XML. Checks that were not selected are left out."""
    root = ET.Element("testsuites", name="trialrun", time=f"{report['seconds']:.3f}")
    checks = [check for check in report["checks"] if check["selected"] or check["verdict"] != Verdict.NOT_RUN]
    for family in dict.fromkeys(check["family"] for check in checks):
        root.append(_build_suite(report, family, [check for check in checks if check["family"] == family]))
    _set_counts(root, root.findall("testsuite/testcase"))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _build_suite(report: Json, family: str, checks: list[Json]) -> ET.Element:
    suite = ET.Element("testsuite", name=f"trialrun.{family}", time=f"{sum(check['seconds'] for check in checks):.3f}")
    properties = ET.SubElement(suite, "properties")
    facts = {"contract": report["contract"], "seed": report["seed"], **report["environment"]}
    for name, value in {**facts, "plugin": report["plugin"]["name"], "hash": report["plugin"]["hash"]}.items():
        ET.SubElement(properties, "property", name=clean_text(name), value=clean_text(value))
    for check in checks:
        suite.append(_build_case(report, check))
    _set_counts(suite, suite.findall("testcase"))
    return suite


def _build_case(report: Json, check: Json) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"trialrun.{check['family']}.{clean_text(report['plugin']['name'])}",
        name=f"{check['id']} {check['title']}",
        time=f"{check['seconds']:.3f}",
    )
    if check["where"]:
        case.set("file", clean_text(check["where"]["file"]))
        case.set("line", str(check["where"]["line"]))
    properties = ET.SubElement(case, "properties")
    for name in ("verdict", "level", "signature"):
        ET.SubElement(properties, "property", name=f"trialrun_{name}", value=clean_text(check[name]))
    if check["verdict"] == Verdict.ERROR:
        _add_failure(case, "error", check)
    elif is_red(check):  # a vacuous core check is red too; CI servers show `skipped` as green
        _add_failure(case, "failure", check)
    elif check["verdict"] != Verdict.PASS:
        ET.SubElement(case, "skipped", message=clean_text(f"{check['verdict']}: {check['message']}"))
    return case


def _add_failure(case: ET.Element, kind: str, check: Json) -> None:
    text = clean_text(check["message"])
    element = ET.SubElement(case, kind, message=text, type=clean_text(check["signature"] or check["verdict"]))
    lines = [
        format_location(check),
        text,
        f"why: {check['why']}",
        f"fix: {check['fix']}",
        f"see: trialrun explain {check['id']}",
    ]
    if check["repro"]:
        lines.append(f"repro: {check['repro']}")
    element.text = "\n".join(clean_text(line) for line in lines if line)


def _set_counts(element: ET.Element, cases: list[ET.Element]) -> None:
    element.set("tests", str(len(cases)))
    for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
