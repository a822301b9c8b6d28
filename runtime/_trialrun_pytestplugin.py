"""The pytest plugin's front door: options, fixtures by name, and recognising what is ours.

Everybody who has trialrun installed imports this file in every run of pytest, so it imports nothing but pytest. What
does the work is imported when the first conformance test is met or the first fixture is asked for.
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
    group.addoption("--trialrun-profile", choices=("core", "full"), help="which checks run; default: core")
    group.addoption("--trialrun-select", metavar="IDS", help="only these checks or beginnings of ids: TR2,TR305")
    group.addoption("--trialrun-ignore", metavar="IDS", help="not these checks")
    group.addoption("--trialrun-seed", metavar="N", type=int, help="seed of the checks; default: drawn and shown")
    group.addoption(
        "--trialrun-report", action="append", metavar="KIND=PATH", help="write json=, junit=, sarif=, html= or badge="
    )
    parser.addini("trialrun_profile", "default of --trialrun-profile", default="")
    parser.addini("trialrun_select", "default of --trialrun-select", default="")
    parser.addini("trialrun_ignore", "default of --trialrun-ignore", default="")
    parser.addini("trialrun_report", "default of --trialrun-report: a list", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "trialrun_check(id, family, level): a conformance check; set by trialrun itself")
    config.addinivalue_line("markers", "trialrun_core: a check that every plugin must pass; set by trialrun itself")
    config.addinivalue_line("markers", "trialrun_extended: a check of the full profile; set by trialrun itself")
    if config.getoption("--trialrun") or any("pyproject.toml::" in arg for arg in config.args):
        _activate(config)


def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Collect a conformance object, or a class form, as one item per check."""
    if isinstance(obj, type):
        if not getattr(obj, "trialrun_suite", False) or getattr(obj, "plugin", None) is None:
            return None
    elif "trialrun_conformance" not in type(obj).__dict__ or name.startswith("_"):
        return None
    _activate(collector.config)
    from trialrun.testing.pytest_plugin.collect import build_node

    return build_node(collector, name, obj)


def pytest_runtest_logreport(report: Any) -> None:
    """What a worker of xdist sends: the controller itself collects nothing."""
    if "trialrun" in report.__dict__ and "node" in report.__dict__:
        _activate(report.node.config).receive_report(report.node.config, report)


_STATUS_LETTERS = {
    "vacuous": ("vacuous", "V", ("VACUOUS", {"yellow": True})),
    "n/a": ("skipped", "n", ("N/A", {"cyan": True})),
    "error": ("error", "E", ("ERROR", {"red": True})),
}


def pytest_report_teststatus(report: Any) -> Any:
    """Verdicts that are neither passed nor failed. Here, since the first report of a worker must find it there."""
    said = getattr(report, "trialrun", None)
    return None if said is None or hasattr(report, "wasxfail") else _STATUS_LETTERS.get(said["outcome"]["verdict"])


def _activate(config: pytest.Config) -> Any:
    """Bring in what does the work, once."""
    from trialrun.testing.pytest_plugin import hooks

    if not config.pluginmanager.has_plugin(_HOOKS_PLUGIN):
        hooks.initialize_state(config)
        config.pluginmanager.register(hooks, _HOOKS_PLUGIN)
    return hooks


# Fixtures


@pytest.fixture(scope="session")
def trialrun_settings() -> dict[str, Any]:
    """Override it to give the conformance checks settings: hyperparameter, hyperparameters, metric, mode, dataset."""
    return {}


@pytest.fixture
def trialrun_dataset() -> Any:
    """What `trialrun_train` and `trialrun_tune` hand to a plugin: rows or a path. Override it with your own."""
    from trialrun.testing.target import BUILT_IN_ROWS

    return BUILT_IN_ROWS


@pytest.fixture
def trialrun_recorder() -> Iterator[FaultyRecorder]:
    """A backend that records and can be asked (`.metrics(trial_id=…)`, `.last_table()`, …); `.fail(…)` spoils calls."""
    from trialrun.testing.fixtures import open_recorder

    with open_recorder() as made:
        yield made


@pytest.fixture
def trialrun_run(trialrun_recorder: FaultyRecorder, tmp_path: Any) -> Run:
    """A Run in training mode; what it logs is in `trialrun_recorder` at once."""
    from trialrun.testing.fixtures import create_run

    return create_run(trialrun_recorder, tmp_path)


@pytest.fixture
def trialrun_train(trialrun_recorder: FaultyRecorder, trialrun_dataset: Any, tmp_path: Any) -> Trainer:
    """`trialrun_train(plugin, **hyperparameter)` runs a training job and returns its result."""
    from trialrun.testing.fixtures import Trainer

    return Trainer(trialrun_recorder, trialrun_dataset, tmp_path)


@pytest.fixture
def trialrun_tune(trialrun_recorder: FaultyRecorder, trialrun_dataset: Any, tmp_path: Any) -> Tuner:
    """`trialrun_tune(plugin, space, metric=…, mode=…, num_samples=…)` runs a tuning job and returns its result."""
    from trialrun.testing.fixtures import Tuner

    return Tuner(trialrun_recorder, trialrun_dataset, tmp_path)
