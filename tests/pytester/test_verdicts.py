"""How pytest shows each verdict, and when the run is red."""

from __future__ import annotations

import fnmatch
import json
from xml.etree import ElementTree as ET

import pytest

from trialrun.testing import report_schema

from .conftest import TEST_FILE, Ran

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(autouse=True)
def _test_file(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=TEST_FILE)


def test_a_good_plugin_is_green(ran: Ran) -> None:
    result = ran("-v")
    result.assert_outcomes(passed=4, skipped=1)
    result.stdout.fnmatch_lines(["*::TR193 N/A*", "*PARTIAL*4 of 4 checks passed*", "*ledger: 4 ran*"])
    assert result.ret == 0


def test_a_failure_says_what_to_do(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    result = ran()
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*TR191 fails (contract, core)*",
            "*what  it is broken",
            "*where  *plug.py:6",
            "*why  because",
            "*fix  mend it",
            "*signature  is broken",
            "*more  trialrun explain TR191",
            "*NOT CONFORMANT*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert result.ret == 1


def test_a_core_check_that_saw_nothing_makes_the_run_red(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLIND", "1")
    result = ran("-v")
    assert result.parseoutcomes() == {"passed": 3, "skipped": 1, "vacuous": 1}
    result.stdout.fnmatch_lines(["*::TR192 VACUOUS*"])
    assert result.ret == 1


def test_an_error_of_the_harness_is_no_failure_of_the_plugin(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUG", "1")
    result = ran("-v")
    result.assert_outcomes(passed=3, errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*::TR194 ERROR*", "*error  KeyError: 'ours'*", "*traceback  *", "*fake_checks.py*"])
    assert result.ret == 1


SKIPPED = """
import pytest
from trialrun.testing import conformance
test_conformance = pytest.mark.skip("not today")(conformance("./plug.py"))
"""


def test_checks_that_are_skipped_make_the_run_red(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(test_it=SKIPPED)
    result = ran()
    result.assert_outcomes(skipped=5)
    result.stdout.fnmatch_lines(["*TR190 TR191 TR192 TR193 TR194  not run: *not today*"])
    assert result.ret == 1


def test_checks_that_are_deselected_make_the_run_red(ran: Ran) -> None:
    result = ran("-k", "not TR191")
    result.assert_outcomes(passed=3, skipped=1, deselected=1)
    result.stdout.fnmatch_lines(["*TR191  not run: deselected*"])
    assert result.ret == 1


def test_a_run_of_other_tests_is_none_of_our_business(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(test_other="def test_other(): pass")
    result = ran("-k", "other")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*conformance*")


def test_the_checks_that_failed_last_are_run_alone(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    assert ran().ret == 1
    monkeypatch.delenv("BROKEN")
    result = ran("--lf")
    result.assert_outcomes(passed=1, deselected=4)
    assert result.ret == 0


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        (["--trialrun-select=TR190"], 1),
        (["--trialrun-select=TR19", "--trialrun-profile=full"], 5),
        (["--trialrun-select=TR19,TR101", "--trialrun-ignore=TR195 TR101"], 4),
    ],
)
def test_options_choose_checks(ran: Ran, options: list[str], passed: int) -> None:
    assert ran(*options).parseoutcomes()["passed"] == passed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trialrun-select=TR999"], "must be the id of a check*TR999*"),
        (["--trialrun-report=pdf=x"], "--trialrun-report: must be one of json*'pdf'*"),
        (["--trialrun-report=json"], "--trialrun-report: needs a path*"),
    ],
)
def test_a_wrong_option_is_refused(ran: Ran, options: list[str], said: str) -> None:
    result = ran(*options)
    assert result.ret not in (0, 1)
    assert "INTERNALERROR" not in result.stdout.str()
    assert fnmatch.filter([*result.outlines, *result.errlines], f"*{said}*")


def _waived(project: pytest.Pytester, **entry: str) -> None:
    waiver = {"check": "TR191", "reason": "known", "expires": "2999-01-01", "signature": "is broken", **entry}
    lines = "\n".join(f'{key} = "{value}"' for key, value in waiver.items())
    project.makepyprojecttoml(f"[tool.trialrun]\n[[tool.trialrun.waivers]]\n{lines}\n")


def test_a_waived_failure_is_expected(project: pytest.Pytester, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    _waived(project)
    result = ran("-rx")
    result.assert_outcomes(passed=3, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["*TR191  waived: waived until 2999-01-01: known*", "*1 waived*"])
    assert result.ret == 0


def test_another_failure_than_the_waived_one_is_red(
    project: pytest.Pytester, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "1")
    _waived(project, signature="something else")
    result = ran()
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*the failure is not the waived one*"])


def test_a_waived_check_that_passes_is_red(project: pytest.Pytester, ran: Ran) -> None:
    _waived(project)
    result = ran()
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*Delete the waiver of TR191*"])


@pytest.mark.parametrize(
    ("entry", "said"), [({"check": "TR999"}, "must be the id of a check"), ({"expires": "2001-01-01"}, "has expired")]
)
def test_a_waiver_that_is_wrong_stops_the_collection(
    project: pytest.Pytester, ran: Ran, entry: dict[str, str], said: str
) -> None:
    _waived(project, **entry)
    result = ran()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*pyproject.toml:2*{said}*"])


def test_junit_has_the_verdicts_as_properties(project: pytest.Pytester, ran: Ran) -> None:
    ran("--junit-xml=junit.xml")
    cases = ET.parse(project.path / "junit.xml").findall(".//testcase")
    found = {case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases}
    assert found["TR190"] == {
        "trialrun_check": "TR190",
        "trialrun_family": "contract",
        "trialrun_level": "core",
        "trialrun_verdict": "pass",
    }
    assert found["TR193"]["trialrun_verdict"] == "n/a"


def test_report_files_are_written(project: pytest.Pytester, ran: Ran) -> None:
    kinds = ["json", "junit", "sarif", "html", "badge"]
    result = ran(*(f"--trialrun-report={kind}=out/report.{kind}" for kind in kinds))
    assert {path.suffix[1:] for path in (project.path / "out").iterdir()} == set(kinds)
    result.stdout.fnmatch_lines(["wrote out/report.json"])
    report = json.loads((project.path / "out" / "report.json").read_text("utf-8"))
    jsonschema.validate(report, report_schema())
    assert {check["id"]: check["verdict"] for check in report["checks"]}["TR190"] == "pass"


def test_nothing_is_left_running(ran: Ran, tmp_path: object) -> None:
    result = ran("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
    result.assert_outcomes(passed=4, skipped=1)
