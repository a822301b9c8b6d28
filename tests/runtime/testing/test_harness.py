"""The harness: one source of outcomes, honest about what it could not tell."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.context import CheckContext
from trialrun.testing.harness import Session, check_plugin, iterate
from trialrun.testing.registry import Check
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.verdicts import NotApplicable, Report, Verdict
from trialrun_hookspecs.errors import PluginAbsent, UsageError

from .conftest import Write

GOOD = """
from pathlib import Path
conformance = {"hyperparameter": {"rate": 0.5}}
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    run.log_metric("train", "loss", hyperparameter["rate"])
    Path("model.txt").write_text("1")
    return "model.txt"
"""


def made(name: str, run: Callable[[CheckContext], None], **more: Any) -> Check:
    texts = dict.fromkeys(("title", "clause", "why", "fix", "before", "after"), f"text of {name}")
    facts: dict[str, Any] = {"family": "training", "level": "core", **texts, **more}
    return Check(id=name, run=run, **facts)


def passes(context: CheckContext) -> None:
    context.require_events(context.require_ok(context.train()), "metric")


def fails(context: CheckContext) -> None:
    context.fail("it is not so", signature="not so")


def sees_nothing(context: CheckContext) -> None:
    context.require_events(context.require_ok(context.train()), "visualization")


def does_not_concern(context: CheckContext) -> None:
    raise NotApplicable("it has no images")


def breaks(context: CheckContext) -> None:
    raise ZeroDivisionError("ours")


@pytest.fixture
def checked(write: Write, sandboxes: SandboxPool) -> Callable[..., Report]:
    def run(*checks: Check, text: str = GOOD, **options: Any) -> Report:
        plugin = write(text)
        return check_plugin(plugin, checks={found.id: found for found in checks}, sandboxes=sandboxes, **options)

    return run


Checked = Callable[..., Report]


def verdicts(report: Report) -> dict[str, str]:
    return {outcome.id: str(outcome.verdict) for outcome in report.outcomes}


def test_each_way_to_end_is_a_verdict_of_its_own(checked: Checked) -> None:
    ways = (passes, fails, sees_nothing, does_not_concern, breaks)
    report = checked(*(made(f"TR20{number}", way) for number, way in enumerate(ways)))
    assert list(verdicts(report).values()) == ["pass", "fail", "vacuous", "n/a", "error"]


def test_a_failure_says_where_why_and_how_to_fix(checked: Checked) -> None:
    [outcome] = checked(made("TR201", fails)).outcomes
    assert (outcome.why, outcome.fix, outcome.signature) == ("text of TR201", "text of TR201", "not so")
    assert outcome.where is None  # no observation was played, so that no line is known


def test_an_error_of_ours_is_not_the_plugins(checked: Checked) -> None:
    report = checked(made("TR201", breaks), made("TR202", passes))
    assert report.exit_code == 2
    assert "ZeroDivisionError" in report.outcomes[0].evidence["traceback"]


def test_the_same_scenario_is_played_once(checked: Checked) -> None:
    observations = []

    def keeps(context: CheckContext) -> None:
        observations.append(context.train())

    checked(made("TR201", keeps), made("TR202", keeps))
    assert observations[0] is observations[1]


def test_what_is_not_declared_does_not_apply(checked: Checked) -> None:
    report = checked(made("TR201", passes, needs=frozenset({"gpu"})), made("TR202", passes))
    assert verdicts(report) == {"TR201": "n/a", "TR202": "pass"}


def test_a_check_that_needs_ray_does_not_run_without(checked: Checked) -> None:
    check = made("TR201", passes, needs=frozenset({"ray"}), level="extended")
    assert verdicts(checked(check, made("TR202", passes), profile="full", ray=False))["TR201"] == "not run"


def test_what_nobody_asked_for_is_in_the_ledger(checked: Checked) -> None:
    report = checked(made("TR201", passes), made("TR301", passes), select=["TR2"])
    assert verdicts(report) == {"TR201": "pass", "TR301": "not run"}
    assert (report.exit_code, report.headline) == (0, "partial")


def test_a_check_that_does_not_run_says_why(checked: Checked) -> None:
    checks = made("TR201", passes), made("TR202", passes), made("TR301", passes, level="extended")

    def reasons(**options: Any) -> dict[str, str]:
        return {outcome.id: outcome.message for outcome in checked(*checks, **options).of(Verdict.NOT_RUN)}

    assert reasons() == {"TR301": "not in this profile"}
    assert reasons(select=["TR201"]) == {"TR202": "not selected", "TR301": "not selected"}
    assert reasons(select=iter(["TR2"]), ignore=["TR202"]) == {"TR202": "left out by ignore", "TR301": "not selected"}


def test_a_core_check_that_is_ignored_makes_it_red(checked: Checked) -> None:
    report = checked(made("TR201", passes), made("TR301", passes), ignore=["TR301"])
    assert report.exit_code == 1


def test_nothing_tested_is_no_success(checked: Checked) -> None:
    assert checked(made("TR201", passes, level="extended")).exit_code == 2


def test_verify_finds_a_verdict_that_depends_on_the_order(checked: Checked) -> None:
    turns = itertools.count()

    def moody(context: CheckContext) -> None:
        context.expect(next(turns) == 0, "it was asked before", signature="moody")

    report = checked(made("TR201", passes), made("TR202", moody), verify=True)
    assert verdicts(report) == {"TR201": "pass", "TR202": "error"}
    assert "pass among the others and fail alone" in report.outcomes[1].message


def test_several_at_once_give_the_same_verdicts(checked: Checked) -> None:
    checks = [made(f"TR2{number:02}", way) for number, way in enumerate([passes, fails, sees_nothing] * 3)]
    assert verdicts(checked(*checks, workers=4)) == verdicts(checked(*checks))


def test_a_check_gets_no_more_than_its_time(checked: Checked) -> None:
    def waits(context: CheckContext) -> None:
        context.expect(not context.train().timed_out, "it hangs", signature="hangs")

    text = GOOD + "    \ndef train(run, dataset, hyperparameter, checkpoint):\n    import time; time.sleep(60)\n"
    [outcome] = checked(made("TR201", waits, timeout_s=1.5), text=text).outcomes
    assert outcome.verdict is Verdict.FAIL
    assert outcome.seconds < 10
    assert outcome.where is not None


WAIVER = {"check": "TR201", "reason": "known", "expires": "2100-01-01", "signature": "not so"}


def test_a_waived_failure_is_green(checked: Checked) -> None:
    report = checked(made("TR201", fails), made("TR202", passes), waivers=[WAIVER])
    assert (report.exit_code, verdicts(report)["TR201"]) == (0, "waived")


def test_a_waiver_of_a_check_that_passes_is_red(checked: Checked) -> None:
    assert checked(made("TR201", passes), waivers=[WAIVER]).exit_code == 1


def test_waivers_and_settings_come_from_pyproject(write: Write, sandboxes: SandboxPool) -> None:
    plugin = write(GOOD)
    file = write(
        """
        [tool.trialrun]
        plugin = "plugin_on_the_spot.py"
        metric = "f1"
        [[tool.trialrun.waivers]]
        check = "TR201"
        reason = "known"
        expires = 2100-01-01
        signature = "not so"
        """,
        "pyproject.toml",
    )
    checks = {"TR201": made("TR201", fails)}
    with Session(None, config=file, checks=checks, sandboxes=sandboxes) as session:
        assert session.spec == str(plugin)
        assert session.target.metric == "f1"
        assert session.run("TR201").verdict is Verdict.WAIVED
    with pytest.raises(UsageError, match=r"pyproject.toml:5, waivers\[0\].expires: the waiver has expired"):
        Session(plugin, checks=checks, today=dt.date(2100, 1, 2))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"select": ["TR9"]}, "must be the id of a check"),
        ({"profile": "best"}, "must be 'core' or 'full'"),
        ({"metrc": "loss"}, "unknown key"),
        ({"hyperparameters": [{"name": "x", "type": "uniform", "min": 2, "max": 1}]}, "min"),
    ],
)
def test_wrong_options_are_refused(checked: Checked, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        checked(made("TR201", passes), **options)


def test_wrong_settings_in_the_plugin_are_refused(checked: Checked) -> None:
    with pytest.raises(UsageError, match="conformance: unknown key, got 'hyperparam'"):
        checked(made("TR201", passes), text=GOOD.replace('"hyperparameter":', '"hyperparam":'))


def test_a_plugin_that_is_not_there_is_refused(sandboxes: SandboxPool) -> None:
    with pytest.raises(PluginAbsent):
        check_plugin("./no/such.py", checks={"TR201": made("TR201", passes)}, sandboxes=sandboxes)


def test_a_live_object_is_refused() -> None:
    with pytest.raises(UsageError, match="must be a path or a name"):
        check_plugin(object())  # type: ignore[arg-type]  # that is the point


def test_the_plugin_is_never_imported_here(checked: Checked) -> None:
    report = checked(made("TR201", passes), text=GOOD + f"\nimport os\nassert os.getpid() != {os.getpid()}\n")
    assert report.exit_code == 0


def test_outcomes_come_one_by_one(write: Write, sandboxes: SandboxPool) -> None:
    outcomes = iterate(
        write(GOOD), checks={"TR201": made("TR201", fails), "TR202": made("TR202", passes)}, sandboxes=sandboxes
    )
    assert next(outcomes).id == "TR201"
    assert next(outcomes).id == "TR202"


def test_an_interrupt_ends_the_report_early(checked: Checked) -> None:
    def interrupted(context: CheckContext) -> None:
        raise KeyboardInterrupt

    report = checked(made("TR201", passes), made("TR202", interrupted), made("TR203", passes))
    assert report.exit_code == 130
    assert list(verdicts(report).values()) == ["pass", "not run", "not run"]


def test_the_report_knows_plugin_and_machine(checked: Checked, tmp_path: Path) -> None:
    report = checked(made("TR201", passes))
    assert report.plugin == "plugin_on_the_spot"
    assert len(report.plugin_hash) == 16
    assert report.environment["python"]
    assert report.curves["metrics"][0]["key"] == "loss"


def test_a_plugin_that_hangs_does_so_once(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialrun.testing.context.PLAIN_S", 1.0)

    def trains(context: CheckContext) -> None:
        context.require_ok(context.train())

    def trains_otherwise(context: CheckContext) -> None:
        context.require_ok(context.train(seed=1))

    text = GOOD + "    \ndef train(run, dataset, hyperparameter, checkpoint):\n    import time; time.sleep(60)\n"
    checks = [made("TR201", trains), made("TR202", trains, timeout_s=40.0), made("TR203", trains_otherwise)]
    report = checked(*checks, text=text)
    assert set(verdicts(report).values()) == {"vacuous"}
    assert sum(outcome.seconds for outcome in report.outcomes) < 10
