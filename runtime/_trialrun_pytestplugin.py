"""The entry point of the pytest plugin: options, fixtures, and the collection of conformance tests.

Every run of pytest imports this file where trialrun is installed, so it imports nothing but pytest. The rest is
imported when the first conformance test is collected or the first fixture is requested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from trialrun.testing.fixtures import FaultyRecorder, Trainer, Tuner
    from trialrun_hookspecs.run import Run

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_pycollect_makeitem",
    "pytest_report_teststatus",
    "pytest_runtest_logreport",
    "trialrun_dataset",
    "trialrun_recorder",
    "trialrun_run",
    "trialrun_settings",
    "trialrun_train",
    "trialrun_tune",
]

_HOOKS_PLUGIN = "trialrun-conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("trialrun", "conformance of a training plugin")
    group.addoption("--trialrun", action="store_true", help="check the plugin of [tool.trialrun] in pyproject.toml")
    group.addoption("--trialrun-profile", choices=("core", "full"), help="the checks to run; default: core")
    group.addoption(
        "--trialrun-select", metavar="IDS", help="run only these checks; prefixes of ids are allowed: TR2,TR305"
    )
    group.addoption("--trialrun-ignore", metavar="IDS", help="leave these checks out")
    group.addoption("--trialrun-seed", metavar="N", type=int, help="seed of the checks; default: 7")
    group.addoption(
        "--trialrun-report",
        action="append",
        metavar="KIND=PATH",
        help="write a report; KIND is json, junit, sarif, html or badge",
    )
    parser.addini("trialrun_profile", "default of --trialrun-profile", default="")
    parser.addini("trialrun_select", "default of --trialrun-select", default="")
    parser.addini("trialrun_ignore", "default of --trialrun-ignore", default="")
    parser.addini("trialrun_report", "default of --trialrun-report, as a list", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "trialrun_check(id, family, level): a conformance check; trialrun sets this mark"
    )
    config.addinivalue_line("markers", "trialrun_core: a check that every plugin must pass; trialrun sets this mark")
    config.addinivalue_line("markers", "trialrun_extended: a check of the full profile; trialrun sets this mark")
    if config.getoption("--trialrun") or any("pyproject.toml::" in arg for arg in config.args):
        _activate(config)


def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Collect a conformance object or a class form as one item per check."""
    if isinstance(obj, type):
        if not getattr(obj, "trialrun_suite", False) or getattr(obj, "plugin", None) is None:
            return None
    elif "trialrun_conformance" not in type(obj).__dict__ or name.startswith("_"):
        return None
    _activate(collector.config)
    from trialrun.testing.pytest_plugin.collect import build_node

    return build_node(collector, name, obj)


def pytest_runtest_logreport(report: Any) -> None:
    """Take in the report of an xdist worker; the controller itself collects nothing."""
    if "trialrun" in report.__dict__ and "node" in report.__dict__:
        _activate(report.node.config).receive_report(report.node.config, report)


_STATUS_LETTERS = {
    "vacuous": ("vacuous", "V", ("VACUOUS", {"yellow": True})),
    "n/a": ("skipped", "n", ("N/A", {"cyan": True})),
    "error": ("error", "E", ("ERROR", {"red": True})),
}


def pytest_report_teststatus(report: Any) -> Any:
    """Return the status of verdicts other than pass and fail. It must exist before a worker's first report arrives."""
    message = getattr(report, "trialrun", None)
    if message is None or hasattr(report, "wasxfail"):
        return None
    return _STATUS_LETTERS.get(message["outcome"]["verdict"])


def _activate(config: pytest.Config) -> Any:
    """Import and register the hooks, once, and return them."""
    from trialrun.testing.pytest_plugin import hooks

    if not config.pluginmanager.has_plugin(_HOOKS_PLUGIN):
        hooks.initialize_state(config)
        config.pluginmanager.register(hooks, _HOOKS_PLUGIN)
    return hooks


# Fixtures


@pytest.fixture(scope="session")
def trialrun_settings() -> dict[str, Any]:
    """Settings of conformance checks; override to set hyperparameter, hyperparameters, metric, mode or dataset."""
    return {}


@pytest.fixture
def trialrun_dataset() -> Any:
    """The dataset of `trialrun_train` and `trialrun_tune`, as rows or a path; override it with your own."""
    from trialrun.testing.target import BUILT_IN_ROWS

    return BUILT_IN_ROWS


@pytest.fixture
def trialrun_recorder() -> Iterator[FaultyRecorder]:
    """A recording backend with queries (`.metrics(trial_id=…)`, `.last_table()`, …); `.fail(…)` makes calls fail."""
    from trialrun.testing.fixtures import open_recorder

    with open_recorder() as recorder:
        yield recorder


@pytest.fixture
def trialrun_run(trialrun_recorder: FaultyRecorder, tmp_path: Any) -> Run:
    """A Run in training mode, whose events are in `trialrun_recorder` at once."""
    from trialrun.testing.fixtures import create_run

    return create_run(trialrun_recorder, tmp_path)


@pytest.fixture
def trialrun_train(trialrun_recorder: FaultyRecorder, trialrun_dataset: Any, tmp_path: Any) -> Trainer:
    """A function: `trialrun_train(plugin, **hyperparameter)` runs a training job and returns its result."""
    from trialrun.testing.fixtures import Trainer

    return Trainer(trialrun_recorder, trialrun_dataset, tmp_path)


@pytest.fixture
def trialrun_tune(trialrun_recorder: FaultyRecorder, trialrun_dataset: Any, tmp_path: Any) -> Tuner:
    """A function: `trialrun_tune(plugin, space, metric=…, num_samples=…)` runs a tuning job and returns its result."""
    from trialrun.testing.fixtures import Tuner

    return Tuner(trialrun_recorder, trialrun_dataset, tmp_path)
