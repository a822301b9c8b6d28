"""Every check fails on the plugin that was broken for it, and on no other; the clean plugins trip nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from trialrun.testing.harness import Session
from trialrun.testing.registry import Check, all_checks
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.verdicts import Report, Verdict

from .catalogue import MUTANTS_DIR, Row, build_row, find_mutants, list_clean_plugins

CHECKS = all_checks()
MUTANTS = {path.stem: (path, check) for path, check in find_mutants(MUTANTS_DIR).items()}
CLEAN = {Path(plugin).stem: str(plugin) for plugin in list_clean_plugins(MUTANTS_DIR)}
CORE = [name for name, check in CHECKS.items() if check.level == "core"]
EXTENDED = [name for name, check in CHECKS.items() if check.level == "extended" and "ray" not in check.needs]
CHEAP = [
    *CORE,
    *(name for name in EXTENDED if name != "TR502"),
]  # that one makes every call of the backend fail in turn
ON_RAY = [name for name, check in CHECKS.items() if "ray" in check.needs]
ITS_FAMILY_ONLY = {"TR112_slow_import": "TR1"}  # each observation of it takes as long as its import does

ALONE = [name for name, (_, check) in MUTANTS.items() if check not in ON_RAY]
WITH_RAY = [name for name, (_, check) in MUTANTS.items() if check in ON_RAY]


def _checked(plugin: str | Path, select: list[str], sandboxes: SandboxPool) -> Report:
    with Session(plugin, profile="full", select=select, config=False, sandboxes=sandboxes) as session:
        for _ in session.outcomes():
            pass
        return session.report()


def _asked(name: str) -> list[str]:
    family = ITS_FAMILY_ONLY.get(name)
    return [family] if family else sorted({*CORE, MUTANTS[name][1]})


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest, sandboxes: SandboxPool) -> Iterator[dict[str, Future[Report]]]:
    """The reports of the plugins that this run asks for, two at a time."""
    here = (item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path)
    wanted = {item.callspec.params.get("plugin") for item in here if hasattr(item, "callspec")}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(_checked, MUTANTS[name][0], _asked(name), sandboxes)
            if name in MUTANTS
            else pool.submit(_checked, CLEAN[name], CHEAP, sandboxes)
            for name in (*ALONE, *CLEAN)
            if name in wanted
        }
        pool.shutdown(cancel_futures=True)


def test_every_check_has_a_plugin_that_it_is_there_for() -> None:
    assert sorted(CHECKS) == sorted({check for _, check in MUTANTS.values()})


@pytest.mark.parametrize("plugin", ALONE)
def test_a_broken_plugin_trips_its_check_and_nothing_else(plugin: str, reports: dict[str, Future[Report]]) -> None:
    path, check = MUTANTS[plugin]
    assert build_row(reports[plugin].result(), path, check).problems == []


@pytest.mark.parametrize("plugin", ALONE)
def test_a_failure_says_where_what_and_what_to_do(plugin: str, reports: dict[str, Future[Report]]) -> None:
    failed = reports[plugin].result().of(Verdict.FAIL)
    assert failed
    for outcome in failed:
        assert outcome.message
        assert outcome.fix
        assert outcome.why
        assert not any(letter.isdigit() for letter in outcome.signature.replace("TR", "")), "signatures are stable"
        assert "/" not in outcome.signature
        assert outcome.where is None or plugin.partition(".")[0] in outcome.where[0]


@pytest.mark.parametrize("plugin", CLEAN)
def test_a_clean_plugin_is_conformant(plugin: str, reports: dict[str, Future[Report]]) -> None:
    report = reports[plugin].result()
    assert build_row(report, plugin, None).problems == []
    unseen = {outcome.id: outcome.message for outcome in report.of(Verdict.VACUOUS) if outcome.level == "core"}
    assert unseen == {}
    assert report.exit_code == 0


@pytest.mark.ray(session=False)
@pytest.mark.parametrize("plugin", WITH_RAY)
def test_on_ray_a_broken_plugin_trips_its_check_and_nothing_else(plugin: str, sandboxes: SandboxPool) -> None:
    path, check = MUTANTS[plugin]
    row: Row = build_row(_checked(path, sorted({*CORE, *ON_RAY}), sandboxes), path, check)
    assert row.problems == []


@pytest.mark.ray(session=False)
@pytest.mark.parametrize("plugin", ["plain_functions", "pure"])
def test_on_ray_a_clean_plugin_trips_nothing(plugin: str, sandboxes: SandboxPool) -> None:
    report = _checked(CLEAN[plugin], ON_RAY, sandboxes)
    assert build_row(report, plugin, None).problems == []
    assert {outcome.id for outcome in report.of(Verdict.PASS)} == set(ON_RAY)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_check_says_what_it_demands_and_why(check: Check) -> None:
    for text in (check.title, check.clause, check.why, check.fix, check.before, check.after):
        assert text.strip()
    assert check.before != check.after
    assert len(check.title) <= 72
    assert check.clause.split("#")[0].split(":")[0].endswith(".md"), "a clause names the page that promises it"


def test_no_two_checks_say_the_same() -> None:
    for part in ("title", "why", "fix"):
        said = [getattr(check, part) for check in CHECKS.values()]
        assert len(said) == len(set(said))
