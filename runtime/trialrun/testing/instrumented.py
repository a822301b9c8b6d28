"""The instrumented plugin: its hooks get a `run` that records how it is used."""

from __future__ import annotations

import builtins
import contextlib
import copy
import inspect
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trialrun.plugins import Plugin, load_plugin
from trialrun.plugins.adapt import Hook
from trialrun.testing.plain_data import describe_error, hash_dataset, to_plain_data
from trialrun.testing.safe_json import write_json
from trialrun.testing.scenario import Scenario
from trialrun_hookspecs import hookimpl

__all__ = ["HookLog", "InstrumentedPlugin", "InstrumentedTunePlugin", "SpyRun", "find_code_path", "instrument_plugin"]

_LOCAL = ("log_metric", "log_visualization", "log_message", "log_trials", "set_progress", "report")


class HookLog:
    """A log of hook calls, with one file per call because a trial may run in another process.

    `running` counts the hooks that run in this process now.
    """

    def __init__(self, folder: Path, scenario: Scenario, inside: str) -> None:
        self.folder = folder
        self.scenario = scenario
        self.inside = inside
        self.running = 0
        self.count = 0
        self.on_phase: Callable[[str], None] = lambda phase: None

    @contextlib.contextmanager
    def record_hook(
        self, name: str, run: Any, hyperparameter: Any, dataset: Any, checkpoint: Any
    ) -> Iterator[dict[str, Any]]:
        """Write down one call of a hook; the caller fills in what it returned."""
        before = set(threading.enumerate())
        entry: dict[str, Any] = {
            "hook": name,
            "trial_id": run.trial_id,
            "pid": os.getpid(),
            "started": time.time(),
            "cwd": str(Path.cwd()),
            "output_before": run.checkpoint_output,
            "checkpoint": to_plain_data(checkpoint),
            "hyperparameter_before": to_plain_data(copy.deepcopy(hyperparameter)),
            "dataset_hash_before": hash_dataset(dataset),
            "calls": [],
        }
        self.running += 1
        self.on_phase("run")
        started = time.perf_counter()
        try:
            yield entry
        except BaseException as error:
            entry["error"] = describe_error(error, self.inside)
            raise
        finally:
            self.running -= 1
            entry["seconds"] = time.perf_counter() - started
            self.on_phase("engine")
            entry["threads_left"] = [thread.name for thread in threading.enumerate() if thread not in before]
            entry["hyperparameter_after"] = to_plain_data(hyperparameter)
            entry["dataset_hash_after"] = hash_dataset(dataset)
            entry["checkpoint_output"] = getattr(run, "declared_output", None)
            self.write_entry(entry)

    def write_entry(self, entry: dict[str, Any]) -> None:
        self.count += 1
        write_json(self.folder / f"{time.time_ns()}-{os.getpid()}-{self.count:05d}.json", entry)

    def read_entries(self) -> list[dict[str, Any]]:
        """Return every hook call so far, in the order in which they ended."""
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.json"))]


class SpyRun:
    """A proxy of `run` that records every use, and raises where the scenario says so."""

    def __init__(self, run: Any, entry: dict[str, Any], scenario: Scenario) -> None:
        object.__setattr__(self, "_spied", (run, entry["calls"], scenario, threading.Lock()))

    def __getattr__(self, name: str) -> Any:
        run, calls, scenario, lock = object.__getattribute__(self, "_spied")
        value = getattr(run, name)
        if name in _LOCAL:
            return _spy_call(name, value, run, calls, scenario, lock)
        if not name.startswith("_"):
            _record_call(f"get:{name}", (), {}, run, calls, lock)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        run, calls, _, lock = object.__getattribute__(self, "_spied")
        call = _record_call(f"set:{name}", (value,), {}, run, calls, lock)
        try:
            setattr(run, name, value)
        except BaseException as error:
            call["raised"] = f"{type(error).__name__}: {error}"
            raise

    def __repr__(self) -> str:
        return repr(object.__getattribute__(self, "_spied")[0])


def _spy_call(
    name: str, function: Callable[..., Any], run: Any, calls: list[dict[str, Any]], scenario: Scenario, lock: Any
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        record = _record_call(name, args, kwargs, run, calls, lock)
        try:
            _inject_fault(sum(1 for known in calls if ":" not in known["name"]), scenario)
            return function(*args, **kwargs)
        except BaseException as error:
            record["raised"] = f"{type(error).__name__}: {error}"[:2_000]
            raise

    return call


def _inject_fault(number: int, scenario: Scenario) -> None:
    """Inject the scenario's fault at the n-th call of a method of `run`: wait for another run, die, or raise."""
    options = scenario.options
    if "meet" in options and number == 1:
        _rendezvous(Path(options["meet"]), str(options["as"]), str(options["prefix"]))
    if options.get("kill_at") == number:
        with contextlib.suppress(FileExistsError):
            Path(options["kill_once"]).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
    if scenario.interrupt_at == number:
        raise KeyboardInterrupt
    if scenario.raise_at is not None and scenario.raise_at[0] == number:
        kind = getattr(builtins, scenario.raise_at[1])
        raise kind("raised by the conformance harness to test how the plugin cleans up")


def _rendezvous(folder: Path, name: str, prefix: str, patience_s: float = 5.0) -> None:
    """Wait until two runs are here, so that they overlap."""
    (folder / name).touch()
    end = time.monotonic() + patience_s
    while len(list(folder.glob(f"{prefix}*"))) < 2 and time.monotonic() < end:
        time.sleep(0.005)


def _record_call(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], run: Any, calls: list[dict[str, Any]], lock: Any
) -> dict[str, Any]:
    frame = sys._getframe(2)  # noqa: SLF001  # who called
    call = {
        "name": name,
        "args": [to_plain_data(value) for value in args],
        "kwargs": {key: to_plain_data(value) for key, value in kwargs.items()},
        "time": time.time(),
        "trial_id": run.trial_id,
        "file": frame.f_code.co_filename,
        "line": frame.f_lineno,
        "thread": threading.current_thread().name,
        "raised": None,
    }
    with lock:
        call["n"] = len(calls) + 1
        calls.append(call)
    return call


def instrument_plugin(plugin: Plugin, hook_log: HookLog) -> Plugin:
    """Return the plugin with instrumented hooks, for this process."""
    hooks = dict(plugin.hooks)
    for name in ("train", "tune"):
        if plugin.has(name):
            hooks[name] = replace(hooks[name], function=_instrument_hook(name, hooks[name], hook_log))
    return replace(plugin, hooks=MappingProxyType(hooks))


def _instrument_hook(name: str, hook: Hook, hook_log: HookLog) -> Callable[..., Any]:
    def call(*args: Any, **extra: Any) -> Any:
        by_name = dict(zip(_PARAMETER_ORDER[name], args, strict=False))
        run, hyperparameter = by_name["run"], by_name["hyperparameter"]
        function = hook.function
        if _is_skipped(run.trial_id, hook_log.scenario):
            return None
        recording = hook_log.record_hook(name, run, hyperparameter, by_name["dataset"], by_name["checkpoint"])
        entry = recording.__enter__()
        spy = SpyRun(run, entry, hook_log.scenario)
        call_args = tuple(spy if value is run else value for value in args)
        extra = {
            **extra,
            **{key: value for key, value in hook_log.scenario.extra.items() if _accepts_keyword(hook, key)},
        }
        try:
            with limit_file_size(hook_log.scenario.disk):
                returned = function(*call_args, **extra)
        except BaseException as error:
            if not recording.__exit__(type(error), error, error.__traceback__):
                raise
            raise AssertionError("a hook log suppresses no exception") from error
        if inspect.isgenerator(returned):
            return _drive_generator(returned, recording, entry)
        _record_return(entry, returned, run)
        recording.__exit__(None, None, None)
        return returned

    return call


def _is_skipped(trial_id: str | None, scenario: Scenario) -> bool:
    number = (trial_id or "").rpartition("_")[2]
    return number.isdigit() and int(number) in scenario.options.get("skip_trials", ())


_PARAMETER_ORDER = {
    "train": ("run", "dataset", "hyperparameter", "checkpoint"),
    "tune": ("hyperparameter", "run", "dataset", "checkpoint"),
}


def _accepts_keyword(hook: Hook, keyword: str) -> bool:
    return keyword not in hook.positional_names if hook.keywords is None else keyword in hook.keywords


def _drive_generator(generator: Any, recording: Any, entry: dict[str, Any]) -> Iterator[Any]:
    """Run a generator-style tune() and log it when it ends."""
    entry["returned_type"], entry["returned"], entry["yields"] = "generator", None, 0
    try:
        for value in generator:
            entry["yields"] += 1
            yield value
    except BaseException as error:
        recording.__exit__(type(error), error, error.__traceback__)
        raise
    recording.__exit__(None, None, None)


def _record_return(entry: dict[str, Any], returned: Any, run: Any) -> None:
    entry["returned_type"] = type(returned).__name__
    entry["returned"] = to_plain_data(returned)
    if isinstance(returned, str | os.PathLike):
        entry["artifact"] = str(Path(returned).absolute()) if str(returned) else ""


@contextlib.contextmanager
def limit_file_size(size: int | None) -> Iterator[None]:
    """Limit the files of this process to `size` bytes while the block runs, like a full disk."""
    if size is None:
        yield
        return
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails with EFBIG instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


class InstrumentedPlugin:
    """The instrumented plugin for Ray's workers, which loads itself there."""

    def __init__(self, spec: str, folder: str, scenario: str) -> None:
        self._spec, self._folder, self._scenario = spec, folder, scenario

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._spec, self._folder, self._scenario))

    def _load_plugin(self) -> Plugin:
        plugin = _WORKER_PLUGINS.get(self._spec)
        if plugin is None:
            loaded = load_plugin(self._spec)
            hook_log = HookLog(Path(self._folder), Scenario.from_json(self._scenario), find_code_path(loaded))
            plugin = _WORKER_PLUGINS[self._spec] = instrument_plugin(loaded, hook_log)
        return plugin

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> Any:
        return self._load_plugin().train(run, dataset, hyperparameter, checkpoint)


class InstrumentedTunePlugin(InstrumentedPlugin):
    """An instrumented plugin with tune(), for Ray's workers."""

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any) -> Any:
        return self._load_plugin().tune(hyperparameter, run, dataset, checkpoint)


_WORKER_PLUGINS: dict[str, Plugin] = {}


def find_code_path(plugin: Plugin) -> str:
    """Return the file or folder that holds the plugin's own code, or ""."""
    if plugin.modules is not None:
        return str(plugin.modules.target)
    file = getattr(plugin.code, "__file__", None) or getattr(
        sys.modules.get(type(plugin.code).__module__), "__file__", None
    )
    if file is None:
        return ""
    path = Path(file)
    return str(path.parent if path.name == "__init__.py" else path)
