"""The child process: runs one scenario and writes down what it observed."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from trialrun.backend.client import Client
from trialrun.backend.memory import Memory
from trialrun.backend.retry import Retry, RetryPolicy
from trialrun.engine.backends import Backend, build_fixtures, named_datasets
from trialrun.engine.job import run
from trialrun.executors import inline as _inline  # noqa: F401  # loaded before the fork
from trialrun.plugins import Manager, Plugin, load_plugin
from trialrun.recorder import Fixtures, Recorder
from trialrun.run_dir import layout
from trialrun.testing.audit import AuditLog
from trialrun.testing.instrumented import (
    HookLog,
    InstrumentedPlugin,
    InstrumentedTunePlugin,
    find_code_path,
    instrument_plugin,
)
from trialrun.testing.plain_data import describe_error, to_plain_data
from trialrun.testing.preload import SLOW_S, select_shareable
from trialrun.testing.safe_json import write_json
from trialrun.testing.scenario import Scenario
from trialrun_hookspecs import hookimpl
from trialrun_hookspecs.errors import TrialrunError

__all__ = ["run_scenario", "warm_up"]

DATASET_ID = 1
CHECKPOINT_ID = 1


def run_scenario(scenario: Scenario, folder: Path) -> None:
    """Run a scenario. `observation.json` appears in `folder` at the end, complete."""
    _ScenarioRun(scenario, folder).execute()


def warm_up(folder: Path) -> None:
    """Run two tiny jobs in this process, so that its children find everything imported and compiled."""
    (folder / "model").write_text("1", encoding="utf-8")
    for kind in ("train", "tune"):
        scenario = Scenario(
            kind=kind,
            plugin="warm-up",
            hyperparameter={"x": 1},
            space=({"name": "x", "type": "uniform", "min": 1, "max": 2},),
            tune_config={"metric": "loss", "mode": "min"},
            dataset=[{"category": "train", "data": {"x": 1}}],
        )
        place = folder / kind
        place.mkdir()
        _ScenarioRun(scenario, place).run_job(load_plugin(_WarmUpPlugin(str(folder / "model"))))


class _WarmUpPlugin:
    """A plugin that does the minimum of both modes."""

    def __init__(self, artifact: str) -> None:
        self._artifact = artifact

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> str:
        run.log_metric("train", "loss", 1.0)
        run.set_progress(1, 1, "train")
        return self._artifact

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any) -> float:
        run.checkpoint_output = self._artifact
        run.report({"loss": 1.0})
        return 1.0


class _ScenarioRun:
    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._scenario = scenario
        self._folder = folder
        self._inside = ""
        self._facts: dict[str, Any] = {"done": False, "pid": os.getpid()}
        self._audit = AuditLog(str(folder), lambda: self._inside)
        (folder / "hooks").mkdir()
        self._hook_log = HookLog(folder / "hooks", scenario, "")
        self._hook_log.on_phase = self._audit.enter_phase
        self._audit.disk_is_full = bool(scenario.options.get("full"))

    def execute(self) -> None:
        threads = set(threading.enumerate())
        self._audit.start()
        try:
            self._run_plugin()
        except BaseException as error:  # noqa: BLE001  # the error belongs to the observation
            self._facts["error"] = self._describe_error(error)
        self._audit.enter_phase("engine")
        left = [thread for thread in threading.enumerate() if thread not in threads]
        self._facts["threads_left"] = [thread.name for thread in left if not thread.name.startswith("trialrun-")]
        self._facts["hooks"] = self._hook_log.read_entries()
        self._facts |= self._audit.collect_facts()
        self._facts["done"] = True
        if os.getpid() == self._facts["pid"]:  # a process that the plugin forked comes through here too
            write_json(self._folder / "observation.json", self._facts)

    def _describe_error(self, error: BaseException) -> dict[str, Any]:
        """Describe the plugin's own exception where it is the cause of the job's error."""
        cause = error
        while isinstance(cause, TrialrunError) and cause.__cause__ is not None:
            cause = cause.__cause__
        described = describe_error(cause, self._inside)
        return described if cause is error else {**described, "job": describe_error(error, self._inside)}

    def _run_plugin(self) -> None:
        scenario = self._scenario
        os.environ.update(scenario.environment)
        plugin = self._load_plugin()
        if scenario.kind == "load":
            return
        if scenario.kind == "probe":
            module, _, name = scenario.probe.partition(":")
            function = getattr(importlib.import_module(module), name)
            self._facts["answer"] = to_plain_json(function(plugin, scenario))
            return
        self.run_job(plugin)

    def _load_plugin(self) -> Plugin:
        modules, threads = set(sys.modules), set(threading.enumerate())
        self._inside = self._hook_log.inside = (
            os.path.realpath(self._scenario.plugin) if os.sep in self._scenario.plugin else ""
        )
        self._audit.enter_phase("load")
        started, used = time.perf_counter(), time.process_time()
        try:
            plugin = load_plugin(self._scenario.plugin, need_train=True)
        finally:
            seconds, cpu = time.perf_counter() - started, time.process_time() - used
            self._audit.enter_phase("engine")
            new = [name for name in list(sys.modules) if name not in modules]
            self._facts["loaded"] = {
                "seconds": seconds,
                "cpu_seconds": cpu,
                "modules": sorted({name.partition(".")[0] for name in new}),
                "threads": [thread.name for thread in threading.enumerate() if thread not in threads],
            }
        self._inside = self._hook_log.inside = find_code_path(plugin)
        self._facts["loaded"] |= _describe_plugin(plugin)
        if self._scenario.kind == "load" and seconds > SLOW_S:
            self._facts["loaded"]["libraries"] = select_shareable(new, _module_name(plugin))
        write_json(self._folder / "partial.json", self._facts)  # a run that does not end leaves this
        return plugin

    def run_job(self, plugin: Plugin) -> None:
        scenario = self._scenario
        manager = Manager([plugin])
        datasets = {DATASET_ID: scenario.dataset}
        checkpoints = {CHECKPOINT_ID: scenario.checkpoint} if scenario.checkpoint else {}
        fixtures = build_fixtures(datasets, checkpoints, named_datasets(manager, datasets))
        watched = self._instrument_plugin(plugin)
        with self._open_backend(fixtures) as backend:
            result = run(
                self._build_request(),
                plugin=watched,
                executor=scenario.executor,
                address=scenario.address,
                results=self._folder / "results",
                seed=scenario.seed,
                backend=backend,
            )
        self._facts["result"] = result.model_dump(mode="json")

    def _instrument_plugin(self, plugin: Plugin) -> Plugin:
        if self._scenario.executor == "inline" or self._scenario.kind == "train":
            return instrument_plugin(plugin, self._hook_log)
        kind = InstrumentedTunePlugin if plugin.has("tune") else InstrumentedPlugin
        return load_plugin(kind(self._scenario.plugin, str(self._hook_log.folder), self._scenario.to_json()))

    def _build_request(self) -> dict[str, Any]:
        scenario = self._scenario
        params: dict[str, Any] = {"name": scenario.name, "dataset": DATASET_ID}
        if scenario.checkpoint:
            params["checkpoint"] = CHECKPOINT_ID
        if scenario.kind == "train":
            return {"action": "train", "params": {**params, "hyperparameter": dict(scenario.hyperparameter)}}
        sizes = {"num_cpus": scenario.num_cpus, "num_gpus": scenario.num_gpus}
        params |= {key: value for key, value in sizes.items() if value is not None}
        params |= {"is_tune": True, "hyperparameters": list(scenario.space), "tune_config": dict(scenario.tune_config)}
        return {"action": "train", "params": params}

    @contextlib.contextmanager
    def _open_backend(self, fixtures: Fixtures) -> Iterator[Backend]:
        with Recorder(self._folder / layout.RECORDING, fixtures=fixtures) as recorder:
            recorder.faults.plan += self._scenario.faults
            memory = Memory(recorder.handler())
            patience = RetryPolicy(attempts=40, first=0.01, longest=0.05, total=30.0)
            retry = Retry(memory, retry_policy=patience)
            try:
                yield Backend(
                    client=Client(retry),
                    delivery_client=Client(memory),
                    url="",
                    recorder=recorder,
                    retry_policy=patience,
                )
            finally:
                self._facts["backend_calls"] = recorder.faults.calls
                self._facts["backend_struck"] = recorder.faults.struck


def _module_name(plugin: Plugin) -> str:
    code = plugin.code
    return code.__name__ if isinstance(code, ModuleType) else type(code).__module__


def to_plain_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _describe_plugin(plugin: Plugin) -> dict[str, Any]:
    code = plugin.code
    file = find_code_path(plugin)
    settings = getattr(code, "conformance", None)
    return {
        "name": plugin.name,
        "source": plugin.source,
        "inside": file,
        "hooks": {name: _describe_signature(hook.function) for name, hook in plugin.hooks.items()},
        "conformance": _plain_settings(settings) if isinstance(settings, Mapping) else None,
        "conformance_type": None if settings is None else type(settings).__name__,
    }


def _plain_settings(settings: Mapping[Any, Any]) -> Any:
    words = settings.get("capabilities")
    return to_plain_data(
        {**settings, "capabilities": sorted(words)} if isinstance(words, set | frozenset) else dict(settings)
    )


def _describe_signature(function: Any) -> dict[str, Any]:
    inner = inspect.unwrap(function)
    source = getattr(inner, "__code__", None) or getattr(getattr(inner, "__func__", None), "__code__", None)
    return {
        "text": str(inspect.signature(function)),
        "file": source.co_filename if source else None,
        "line": source.co_firstlineno if source else None,
        "parameters": [
            {"name": item.name, "kind": item.kind.name, "has_default": item.default is not item.empty}
            for item in inspect.signature(function).parameters.values()
        ],
        "is_generator": inspect.isgeneratorfunction(inner),
        "is_async": inspect.iscoroutinefunction(inner),
        "doc": inspect.getdoc(function) or "",
        "binds": _can_bind_positionally(function),
    }


def _can_bind_positionally(function: Any) -> bool:
    """Return whether the outermost function, whatever it wraps, takes the four arguments by position."""
    try:
        inspect.signature(function, follow_wrapped=False).bind(*range(4))
    except TypeError:
        return False
    return True
