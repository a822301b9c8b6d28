"""Hooks for conformance tests: verdicts on reports, the summary, the exit status, and report files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.pytest_plugin.collect import CheckItem, ConformanceFile
from trialrun.testing.pytest_plugin.state import STATE, State
from trialrun.testing.reports import parse_targets, write_reports
from trialrun.testing.reports.text import Json
from trialrun.testing.verdicts import CONTRACT_VERSION, Outcome, Report, Verdict
from trialrun_hookspecs.errors import UsageError

__all__ = [
    "initialize_state",
    "pytest_collect_file",
    "pytest_collection_finish",
    "pytest_deselected",
    "pytest_report_collectionfinish",
    "pytest_report_header",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_unconfigure",
    "receive_report",
]

_PROJECT = "pyproject.toml"


def initialize_state(config: pytest.Config) -> None:
    """Read the options. Called once, before the hooks are registered."""
    try:
        parse_targets(_get_option(config, "report"), "--trialrun-report")
    except UsageError as error:
        raise pytest.UsageError(f"trialrun: {error}") from None
    cli_options = {name: config.getoption(f"--trialrun-{name}") for name in ("profile", "select", "ignore", "seed")}
    ini_options = {name: config.getini(f"trialrun_{name}") for name in ("profile", "select", "ignore")}
    config.stash[STATE] = State(
        cli_options=_parse_options(cli_options),
        ini_options={"profile": "core", **_parse_options(ini_options), "repro_dir": _repro_dir(config)},
    )
    if config.getoption("--trialrun") and not (config.rootpath / _PROJECT).is_file():
        where = f"{config.rootpath / _PROJECT} is not there"
        raise pytest.UsageError(f"--trialrun: {where}; name the plugin to check in its [tool.trialrun] table")


def _parse_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, with ids as tuples."""
    split = {
        name: _split_ids(value) if name in ("select", "ignore") else value for name, value in options.items() if value
    }
    return {**split, **({"seed": 0} if options.get("seed") == 0 else {})}


def _get_option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(f"--trialrun-{name}")
    return config.getini(f"trialrun_{name}") if given is None else given


def _split_ids(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def _repro_dir(config: pytest.Config) -> Path | None:
    """Return the folder for repro scripts, in pytest's cache, which version control ignores."""
    cache = getattr(config, "cache", None)
    return None if cache is None else Path(cache.mkdir("trialrun"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Add the project's pyproject.toml to the arguments, unless a folder above it is one."""
    config = session.config
    project = config.rootpath / _PROJECT
    given = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    if config.getoption("--trialrun") and not {project, *project.parents} & set(given):
        config.args = [*config.args, str(project)]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name != _PROJECT:
        return None
    # not an initial path when a folder above it is one
    is_asked = parent.config.getoption("--trialrun") and file_path == parent.config.rootpath / _PROJECT
    if is_asked or parent.session.isinitpath(file_path):
        node: pytest.Collector = ConformanceFile.from_parent(parent, path=file_path)
        return node
    return None


def pytest_report_header(config: pytest.Config) -> str:
    return f"trialrun: contract {CONTRACT_VERSION}, profile {_get_option(config, 'profile') or 'core'}"


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        # with --lf or --sw the user picks items as with node ids, so the others count as not selected
        if isinstance(item, CheckItem) and not item.config.getoption("lf", default=False):
            item.target.deselected.add(item.check.id)


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        if isinstance(item, CheckItem):
            item.target.kept.add(item.check.id)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    state = config.stash[STATE]
    targets = [state.targets[key] for key in state.active_targets()] if config.option.verbose >= 0 else []
    return [
        f"trialrun: {len(target.kept)} checks of {target.session.spec} (seed {target.session.seed})"
        for target in targets
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if isinstance(item, CheckItem):
        item.outcome = None  # a rerun replaces it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if isinstance(item, CheckItem) and call.when == "call":
        item.user_properties.extend(_check_properties(item))  # the report copies them
    report = yield
    if isinstance(item, CheckItem) and (report.when == "call" or (report.when == "setup" and not report.passed)):
        outcome = item.outcome or _not_run_outcome(item, report)
        message = {"target": item.target.key, "outcome": outcome.to_dict()}
        report.__dict__["trialrun"] = message
        item.config.stash[STATE].receive_outcome(message)
        if report.skipped and isinstance(report.longrepr, tuple) and item.outcome is not None:
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
    return report


def _check_properties(item: CheckItem) -> list[tuple[str, object]]:
    outcome = item.outcome
    facts = {"check": item.check.id, "family": item.check.family, "level": item.check.level}
    if outcome is not None:
        facts |= {"verdict": str(outcome.verdict), "signature": outcome.signature}
    return [(f"trialrun_{name}", value) for name, value in facts.items() if value]


def _not_run_outcome(item: CheckItem, report: pytest.TestReport) -> Outcome:
    """Return the outcome of an item that a mark skipped, or that a fixture's error or an interrupt ended."""
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr).strip().rpartition("\n")[2]
    message = f"ended by pytest: {why}"
    check = item.check
    return Outcome(
        id=check.id, title=check.title, verdict=Verdict.NOT_RUN, level=check.level, family=check.family, message=message
    )


def receive_report(config: pytest.Config, report: Any) -> None:
    """Take in a report from a worker of xdist."""
    config.stash[STATE].receive_outcome(report.trialrun)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take in the reports of an xdist worker that has finished."""
    sent = getattr(node, "workeroutput", {}).get("trialrun")
    if sent:
        node.config.stash[STATE].merge_worker_reports(sent)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None]:
    state = session.config.stash[STATE]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["trialrun"] = state.export_reports()
        return (yield)
    if not session.config.option.collectonly:
        _finish_session(session, state)
    return (yield)


def _finish_session(session: pytest.Session, state: State) -> None:
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    state.final = {key: replace(report, interrupted=interrupted) for key, report in state.final_reports().items()}
    lost = [key for key in state.outcomes if key not in state.final]  # every worker that held it died
    red = lost or any(report.exit_code != 0 for report in state.final.values())
    if red and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    targets = parse_targets(_get_option(session.config, "report"), "--trialrun-report")
    several = len(state.final) > 1
    for report in state.final.values() if targets else ():
        paths = {kind: _plugin_report_path(path, report) if several else path for kind, path in targets.items()}
        state.files += write_reports(report.to_json(), paths)


def _plugin_report_path(path: Path, report: Report) -> Path:
    """Return a separate path for each of several plugins."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in Path(report.plugin).stem)
    return path.with_name(f"{path.stem}-{name}{path.suffix}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    state = config.stash[STATE]
    if not state.final:
        return
    terminalreporter.section("conformance", sep="=")
    for number, (key, report) in enumerate(state.final.items()):
        if len(state.final) > 1:
            terminalreporter.write_line(f"\n{key}" if number else key)
        terminalreporter.write(_render_summary(report.to_json(), colour=terminalreporter.hasmarkup))
    for path in state.files:
        terminalreporter.write_line(f"wrote {os.path.relpath(path, config.invocation_params.dir)}")


def _render_summary(report: Json, *, colour: bool) -> str:
    """Render the verdict and the ledger; pytest has printed the failures already."""
    from rich.console import Console

    from trialrun.testing.reports.terminal import print_report

    output = StringIO()
    width = shutil.get_terminal_size().columns
    print_report(report, Console(file=output, width=width, force_terminal=colour, no_color=not colour), details=False)
    return output.getvalue()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[STATE].close()
