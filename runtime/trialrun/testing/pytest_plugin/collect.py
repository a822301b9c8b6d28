"""Conformance tests in pytest's collection tree: one item per check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.pytest_plugin.failures import HarnessError, NotConformant, Waived, format_failure
from trialrun.testing.pytest_plugin.state import STATE, PluginUnderTest
from trialrun.testing.registry import Check
from trialrun.testing.suite import Conformance, TrainPluginSuite, suite_conformance
from trialrun.testing.verdicts import Outcome, Verdict
from trialrun.testing.waivers import Waiver
from trialrun_hookspecs.errors import UsageError

__all__ = ["CheckItem", "ConformanceFile", "ConformanceNode", "SuiteClass", "build_node"]


def build_node(collector: Any, name: str, obj: Any) -> pytest.Collector:
    """Return the node of a conformance object or of a class form."""
    if isinstance(obj, type):
        return SuiteClass.from_parent(collector, name=name, obj=obj)
    node: pytest.Collector = ConformanceNode.from_parent(collector, name=name, conformance=obj)
    return node


class CheckItem(pytest.Function):
    """One check of one plugin. Fixtures and marks of the file apply to it as to any test."""

    def __init__(self, *, check: Check, target: PluginUnderTest, **options: Any) -> None:
        super().__init__(callobj=_build_callable(self), **options)
        self.check = check
        self.target = target
        self.outcome: Outcome | None = None
        level = pytest.mark.trialrun_core if check.level == "core" else pytest.mark.trialrun_extended
        self.add_marker(pytest.mark.trialrun_check(check.id, family=check.family, level=check.level))
        self.add_marker(level)
        waiver = target.session.waivers.get(check.id)
        if waiver is not None:
            self.add_marker(pytest.mark.xfail(strict=True, raises=Waived, reason=_format_reason(waiver)))

    def run_check(self, settings: dict[str, Any]) -> None:
        """Run the check. Raises what makes pytest report the verdict, or returns on PASS."""
        outcome = self.outcome = self.target.session_with(settings).run(self.check.id)
        if outcome.verdict is Verdict.FAIL:
            raise NotConformant(format_failure(outcome))
        if outcome.verdict is Verdict.ERROR:
            raise HarnessError(format_failure(outcome))
        if outcome.verdict is Verdict.WAIVED:
            raise Waived(format_failure(outcome))
        if outcome.verdict is not Verdict.PASS:
            pytest.skip(f"{outcome.verdict}: {outcome.message}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the failure of the check, instead of a traceback through the harness."""
        if isinstance(excinfo.value, NotConformant | HarnessError | Waived):
            return str(excinfo.value)
        if isinstance(excinfo.value, UsageError):
            return f"trialrun: {excinfo.value}"
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.parent.reportinfo()[1] if isinstance(self.parent, ConformanceNode | SuiteClass) else None
        names = [node.name for node in self.listchain() if isinstance(node, ConformanceNode | SuiteClass | CheckItem)]
        return self.path, line if isinstance(line, int) else None, ".".join(names)


def _build_callable(item: CheckItem) -> Callable[..., None]:
    # A mark instead of a parameter: in a class, pytest takes the first parameter for `self`.
    @pytest.mark.usefixtures("trialrun_settings")
    def run_item() -> None:
        settings: Any = item.funcargs["trialrun_settings"]
        item.run_check(settings)

    return run_item


def _format_reason(waiver: Waiver) -> str:
    return f"waived until {waiver.expires.isoformat()}: {waiver.reason}"


def _build_items(parent: pytest.Collector, conformance: Conformance | None, **more: Any) -> Iterator[CheckItem]:
    """Yield one item per selected check. Raises CollectError for invalid settings."""
    state = parent.config.stash[STATE]
    target = state.targets.get(parent.nodeid)
    if target is None:
        try:
            target = PluginUnderTest(
                parent.nodeid,
                conformance,
                cli_options=state.cli_options,
                ini_options={**state.ini_options, **more},
                sandboxes=state.sandboxes,
            )
        except (UsageError, TypeError) as error:
            raise pytest.Collector.CollectError(f"trialrun: {error}") from None
        state.targets[parent.nodeid] = target
    for check in target.session.checks:
        item: CheckItem = CheckItem.from_parent(parent, name=check.id, check=check, target=target)
        yield item


class ConformanceNode(pytest.Collector):
    """A node for `test_conformance = conformance(…)` in a test file."""

    def __init__(self, *, conformance: Conformance, **options: Any) -> None:
        super().__init__(**options)
        self.obj = conformance
        for mark in getattr(conformance, "pytestmark", ()):
            self.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))

    def collect(self) -> Iterable[pytest.Item]:
        return list(_build_items(self, self.obj))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, _find_line(self.path, self.name), self.name


def _find_line(path: Path, name: str) -> int | None:
    """Return the line, from 0, at which the object is created, or None."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((number for number, line in enumerate(lines) if line.startswith(name)), None)


class SuiteClass(pytest.Class):
    """A node for a class form: its checks, then its own tests."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        suite: type[TrainPluginSuite] = self.obj
        own = [item for item in super().collect() if item.name != TrainPluginSuite.test_conformance.__name__]
        return [*_build_items(self, suite_conformance(suite)), *own]


class ConformanceFile(pytest.File):
    """A node for the [tool.trialrun] table of a pyproject.toml."""

    def collect(self) -> Iterable[pytest.Item]:
        return list(_build_items(self, None, config=self.path))
