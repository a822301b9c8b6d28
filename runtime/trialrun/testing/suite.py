"""The two forms for test files: `test_conformance = conformance("./my_plugin")`, and a class."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from trialrun.testing.verdicts import Report

__all__ = ["Conformance", "TrainPluginSuite", "conformance", "suite_conformance"]

_SETTINGS = ("hyperparameter", "hyperparameters", "metric", "mode", "dataset", "capabilities", "profile")


class Conformance:
    """A plugin to check. pytest collects it as one item per check.

    Without trialrun's pytest plugin (`-p no:trialrun`) it is a plain test function: one test for all checks.
    """

    # The pytest plugin recognises this attribute, and so needs no import of this module.
    trialrun_conformance = True
    __name__ = "conformance"  # pytest's marks need an object with a name

    def __init__(
        self,
        plugin: Any,
        *,
        home: Path | None = None,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.plugin = plugin
        self.home = home
        self.select = tuple(select)
        self.ignore = tuple(ignore)
        self.settings = {key: value for key, value in (settings or {}).items() if value is not None}
        self.__wrapped__ = _build_test_function(self)

    def __repr__(self) -> str:
        return f"conformance({self.plugin!r})"

    def __call__(self) -> None:
        """Run all checks. Raises AssertionError with the report unless its exit code is 0."""
        report = self.report()
        if report.exit_code != 0:
            raise AssertionError(_render_report(report))

    def report(self) -> Report:
        """Run all checks and return the report."""
        from trialrun.testing.harness import check_plugin

        return check_plugin(self.spec, **self.options)

    @property
    def options(self) -> dict[str, Any]:
        """The settings of the test file, as options of `check_plugin`."""
        ids = {"select": self.select, "ignore": self.ignore}
        return {**{name: value for name, value in ids.items() if value}, **self.settings}

    @property
    def spec(self) -> str:
        """The plugin as a string. A relative path is looked up in the project, then beside the test file."""
        return _format_spec(self.plugin, self.home)


def conformance(
    plugin: Any,
    *,
    profile: str | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    hyperparameter: Mapping[str, Any] | None = None,
    hyperparameters: Iterable[Mapping[str, Any]] | None = None,
    metric: str | None = None,
    mode: str | None = None,
    dataset: Any = None,
    capabilities: Iterable[str] | None = None,
) -> Conformance:
    """Return all checks of a plugin, for pytest to collect from a test file: `file::test_conformance::TR101`.

    plugin: a path (relative to the project or to the test file), a dotted name, an installed plugin, or a module.
    profile, select, ignore: the checks to run; options of pytest's command line take precedence.
    The other settings override [tool.trialrun] and the plugin's own `conformance` dict.
    """
    settings = {
        "profile": profile,
        "hyperparameter": hyperparameter,
        "hyperparameters": None if hyperparameters is None else list(hyperparameters),
        "metric": metric,
        "mode": mode,
        "dataset": dataset,
        "capabilities": None if capabilities is None else list(capabilities),
    }
    return Conformance(plugin, home=_caller_folder(), select=select, ignore=ignore, settings=settings)


class TrainPluginSuite:
    """All checks of a plugin as a class, beside tests of your own.

        class TestMyPlugin(TrainPluginSuite):
            plugin = "./my_plugin"
            hyperparameter = {"epochs": 2}

    Its checks are collected as `file::TestMyPlugin::TR101`; a method cannot replace a check.
    """

    trialrun_suite = True
    plugin: ClassVar[Any] = None
    profile: ClassVar[str | None] = None
    select: ClassVar[Iterable[str]] = ()
    ignore: ClassVar[Iterable[str]] = ()
    hyperparameter: ClassVar[Mapping[str, Any] | None] = None
    hyperparameters: ClassVar[Iterable[Mapping[str, Any]] | None] = None
    metric: ClassVar[str | None] = None
    mode: ClassVar[str | None] = None
    dataset: ClassVar[Any] = None
    capabilities: ClassVar[Iterable[str] | None] = None

    def test_conformance(self) -> None:
        """Run all checks as one test, for pytest without trialrun's plugin."""
        suite_conformance(type(self))()


def suite_conformance(suite: type[TrainPluginSuite]) -> Conformance:
    """Return the Conformance object that a class stands for."""
    file = getattr(sys.modules.get(suite.__module__), "__file__", None)
    settings = {name: getattr(suite, name) for name in _SETTINGS}
    home = Path(file).parent if file else None
    return Conformance(suite.plugin, home=home, select=suite.select, ignore=suite.ignore, settings=settings)


def _build_test_function(conformance: Conformance) -> Callable[[], None]:
    """Return a function without parameters, whose signature pytest reads instead of the object's."""

    def run_conformance() -> None:
        conformance()

    return run_conformance


def _caller_folder() -> Path | None:
    """Return the folder of the file that calls `conformance`."""
    file = sys._getframe(2).f_globals.get("__file__")  # noqa: SLF001  # as `logging` finds its callers
    return Path(file).absolute().parent if file else None


def _format_spec(plugin: Any, home: Path | None) -> str:
    if isinstance(plugin, ModuleType):
        file = getattr(plugin, "__file__", None)
        if file is None or plugin.__name__ == "__main__":
            raise TypeError(f"{plugin!r} has no file: pass the path of the plugin")
        path = Path(file)
        return str(path.parent if path.name == "__init__.py" else path)
    if not isinstance(plugin, str | Path):
        kind = plugin if isinstance(plugin, type) else type(plugin)
        fix = "pass a path or a name, because the checks run in other processes"
        raise TypeError(f"plugin must be a path, a name or a module, got {kind.__qualname__}; {fix}")
    if home is not None and _is_relative_path(plugin):
        found = next((base / plugin for base in (*_project_folders(home), home) if (base / plugin).exists()), None)
        if found is not None:
            return str(found.resolve())
    return str(plugin)


def _is_relative_path(plugin: str | Path) -> bool:
    text = str(plugin)
    return not Path(plugin).is_absolute() and (
        isinstance(plugin, Path) or "/" in text or text.endswith((".py", ".yaml"))
    )


def _project_folders(home: Path) -> list[Path]:
    """Return the nearest folder at or above `home` with a pyproject.toml, in a list."""
    found = next((folder for folder in (home, *home.parents) if (folder / "pyproject.toml").is_file()), None)
    return [] if found is None else [found]


def _render_report(report: Report) -> str:
    from io import StringIO

    from rich.console import Console

    from trialrun.testing.reports.terminal import print_report

    output = StringIO()
    print_report(report.to_json(), Console(file=output, width=110, color_system=None))
    return output.getvalue()
