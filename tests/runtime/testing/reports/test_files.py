"""Report files: what is asked for is written, and says the same as the JSON."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from trialrun.testing import report_schema
from trialrun.testing.reports import KINDS, parse_targets, write_reports
from trialrun.testing.reports.badge import format_message
from trialrun.testing.reports.reading import parse_report
from trialrun.testing.reports.sarif import render_report as sarif_of
from trialrun_hookspecs import UsageError

from .conftest import EVIL


def _written(report: Any, kind: str, folder: Path) -> str:
    (path,) = write_reports(report, {kind: folder / "new" / "file"})
    return path.read_text("utf-8")


def test_targets_are_read() -> None:
    assert parse_targets(["json=a.json, html=b.html", "badge=c.json"]) == {
        "json": Path("a.json"),
        "html": Path("b.html"),
        "badge": Path("c.json"),
    }


@pytest.mark.parametrize(("asked", "said"), [("pdf=x", "must be one of"), ("json", "needs a path"), ("=x", "must be")])
def test_a_target_that_is_wrong_is_refused(asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_targets([asked])


def test_a_file_that_cannot_be_written_is_named(report: Any, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("", "utf-8")
    with pytest.raises(UsageError, match="--report json: cannot be written"):
        write_reports(report, {"json": tmp_path / "there" / "file"})


def test_json_is_read_back_as_it_was(report: Any, tmp_path: Path) -> None:
    read = json.loads(_written(report, "json", tmp_path))
    assert read == report
    assert parse_report(read).to_json() == report


def test_json_fits_its_schema(report: Any) -> None:
    jsonschema.validate(report, report_schema())


def test_junit_is_red_where_the_report_is(report: Any, tmp_path: Path) -> None:
    root = ET.fromstring(_written(report, "junit", tmp_path))
    found = {
        case.get("name", "")[:5]: [child.tag for child in case if child.tag != "properties"]
        for case in root.iter("testcase")
    }
    assert found == {
        "TR101": [],
        "TR102": ["error"],
        "TR205": ["failure"],
        "TR206": ["failure"],
        "TR304": ["skipped"],
        "TR305": ["skipped"],
    }
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("6", "2", "1", "2")
    (failure, _) = root.iter("failure")
    assert failure.get("type") == "said something"
    assert "fix: mend it" in (failure.text or "")


def test_sarif_points_at_the_line(report: Any, tmp_path: Path) -> None:
    path = tmp_path / "my_plugin" / "plugin.py"
    next(check for check in report["checks"] if check["id"] == "TR205")["where"]["file"] = str(path)
    (run,) = json.loads(sarif_of(report, tmp_path))["runs"]
    results = {result["ruleId"]: result for result in run["results"]}
    assert set(results) == {"TR102", "TR205", "TR206", "TR305"}
    (place,) = results["TR205"]["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "my_plugin/plugin.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 12},
    }
    assert results["TR205"]["level"] == "error"
    assert results["TR305"]["suppressions"]
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])
    assert all(result["locations"] for result in run["results"])


class _Page(HTMLParser):
    """Tags, texts and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(report: Any, folder: Path) -> _Page:
    page = _Page()
    page.feed(_written(report, "html", folder))
    return page


def test_the_page_runs_nothing_that_a_plugin_says(report: Any, tmp_path: Path) -> None:
    page = _page(report, tmp_path)
    assert not {"script", "iframe", "img", "link"} & set(page.tags)
    assert not page.addresses
    assert "</script><script>alert('x')</script>" in page.text
    assert "\x1b" not in page.text


def test_the_page_shows_table_and_curves(report: Any, tmp_path: Path) -> None:
    page = _page(report, tmp_path)
    assert page.tags.count("svg") == 1
    assert page.tags.count("title") == 1 + 1 + 2  # of the page, the chart and its two lines
    assert "a_00000" in page.text
    assert "training / loss" in page.text


def test_a_page_without_a_recording_has_no_section_for_it(report: Any, tmp_path: Path) -> None:
    report.pop("recording")
    page = _page(report, tmp_path)
    assert "svg" not in page.tags
    assert "What it reported" not in page.text


def test_the_page_knows_light_and_dark(report: Any, tmp_path: Path) -> None:
    text = _written(report, "html", tmp_path)
    assert "prefers-color-scheme: dark" in text
    assert "color-scheme: light dark" in text


def test_the_badge_is_one_line(report: Any, tmp_path: Path) -> None:
    assert format_message(report) == "not conformant 1/5"
    assert json.loads(_written(report, "badge", tmp_path))["message"] == "not conformant 1/5"


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_of_nothing_is_written(report: Any, tmp_path: Path, kind: str) -> None:
    empty = parse_report({**report, "checks": [], "recording": {}}).to_json()
    assert _written(empty, kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_no_control_character_gets_through(report: Any, tmp_path: Path, kind: str) -> None:
    assert any(EVIL in check["message"] for check in report["checks"])
    text = _written(report, kind, tmp_path)
    assert "\x1b" not in text
    assert "\x00" not in text
