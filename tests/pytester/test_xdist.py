"""Several workers come to the same verdicts as one process."""

from __future__ import annotations

import json

import pytest

from .conftest import TEST_FILE, Ran

pytest.importorskip("xdist")


def _verdicts(project: pytest.Pytester, name: str) -> dict[str, tuple[str, str, bool]]:
    report = json.loads((project.path / name).read_text("utf-8"))
    return {check["id"]: (check["verdict"], check["signature"], check["selected"]) for check in report["checks"]}


@pytest.mark.parametrize("variable", ["GOOD", "BROKEN", "BLIND", "BUG"])
def test_verdicts_are_the_same(
    project: pytest.Pytester, ran: Ran, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    project.makepyfile(test_it=TEST_FILE)
    alone = ran("--trialrun-report=json=alone.json")
    several = ran("-n", "2", "--trialrun-report=json=several.json")
    assert _verdicts(project, "several.json") == _verdicts(project, "alone.json")
    assert several.ret == alone.ret
    assert several.parseoutcomes() == alone.parseoutcomes()


def test_the_configuration_alone_is_enough_for_workers(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyprojecttoml('[tool.trialrun]\nplugin = "./plug.py"\n')
    result = ran("-n", "2", "--trialrun")
    result.assert_outcomes(passed=4, skipped=1)
    result.stdout.fnmatch_lines(["*PARTIAL*4 of 4*"])


def test_the_order_may_be_random(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_randomly")
    project.makepyfile(test_it=TEST_FILE)
    project.makepyprojecttoml('[tool.trialrun]\nplugin = "./plug.py"\n')
    for seed in (1, 2):
        result = project.runpytest_subprocess(f"--randomly-seed={seed}", "--trialrun", "-n2")
        result.assert_outcomes(passed=8, skipped=2)


def test_a_worker_that_dies_does_not_make_the_run_green(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(
        test_it=TEST_FILE
        + """
import os, pytest

@pytest.fixture(autouse=True)
def dies(request):
    if request.node.name == "TR190":
        os._exit(1)
"""
    )
    result = ran("-n", "1", "--max-worker-restart=0")
    assert result.ret != 0
    assert "INTERNALERROR" not in result.stdout.str()
