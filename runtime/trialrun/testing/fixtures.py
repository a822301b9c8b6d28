"""The objects behind the pytest fixtures: a recorder with faults, a Run connected to it, and jobs of a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from trialrun import events
from trialrun.backend.client import Client
from trialrun.backend.memory import Memory
from trialrun.backend.retry import Retry, RetryPolicy
from trialrun.backend.sink import LogSink
from trialrun.engine.backends import Backend
from trialrun.engine.job import run as run_job
from trialrun.job_run import EventEmitter, JobRun
from trialrun.plugins import Plugin, load_plugin
from trialrun.plugins.build import build_plugin
from trialrun.recorder.faults import FaultKind
from trialrun.recorder.recorder import Recorder
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError
from trialrun_hookspecs.results import JobResult
from trialrun_hookspecs.run import Run

__all__ = ["FaultyRecorder", "Trainer", "Tuner", "create_run", "open_recorder"]

_SEED = 7
_DATASET = 1
_CHECKPOINT = 1


class FaultyRecorder(Recorder):
    """A recorder for the runs and jobs of one test. `fail()` counts the calls of each job from 1."""

    def __init__(self) -> None:
        super().__init__()
        self._sinks: list[LogSink] = []

    @property
    def struck(self) -> list[tuple[int, FaultKind]]:
        """The calls that failed, by number and kind, in all jobs of the test."""
        return self.faults.struck

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until all events of `trialrun_run` are recorded. Returns False after `timeout` seconds."""
        flushed = [sink.flush(timeout) for sink in self._sinks]  # a list, so that every sink is flushed
        return all(flushed)

    def build_backend(self) -> Backend:
        """Return a client of this recorder with the current faults, which retries after milliseconds."""
        self.faults.reset_count()
        memory = Memory(self.handler())
        patience = RetryPolicy(attempts=40, first=0.01, longest=0.05, total=30.0)
        retry = Retry(memory, patience=patience)
        return Backend(client=Client(retry), delivery_client=Client(memory), url="", recorder=self)

    def open_sink(self) -> LogSink:
        patience = RetryPolicy(first=0.01, longest=0.05)
        sink = LogSink(self.build_backend().delivery_client, entry=events.to_log_entry, patience=patience)
        self._sinks.append(sink)
        return sink

    def settle_unless_faulty(self) -> None:
        """Wait for the last event before the next line of the test runs, unless faults are active."""
        if not self.faults.plan:
            self.settle()

    def close(self) -> None:
        for sink in self._sinks:
            sink.close(timeout=0.2 if self.faults.plan else 10.0)
        self._sinks.clear()
        super().close()


@contextmanager
def open_recorder() -> Iterator[FaultyRecorder]:
    """Yield a recorder for one test, in its own temporary folder."""
    with FaultyRecorder() as recorder:
        yield recorder


def create_run(recorder: FaultyRecorder, folder: Path) -> Run:
    """Return a Run in training mode."""
    job = recorder.create_job("test", {"action": "train", "params": {}})
    sink = recorder.open_sink()

    def send(line: str) -> None:
        sink.put(events.from_line(line))
        recorder.settle_unless_faulty()

    emitter = EventEmitter(send, job_id=job, trial_id=None, prefix=f"test-{job}")
    home = folder / f"run-{job}"
    home.mkdir(parents=True)
    return JobRun(emitter, name="test", job_id=job, trial_id=None, seed=_SEED, folder=home)


class _Jobs:
    """Runs jobs in this process, so that a debugger and monkeypatch reach the plugin."""

    def __init__(self, recorder: FaultyRecorder, dataset: Any, folder: Path) -> None:
        self._recorder = recorder
        self._dataset = dataset
        self._folder = folder / layout.RESULTS_ROOT

    def _run_job(self, plugin: Any, params: Mapping[str, Any], checkpoint: str | Path | None) -> JobResult:
        for number in range(1, 1000):
            name = f"test {number}"
            if not any(job["name"] == name for job in self._recorder.jobs()):
                break
        job = {"name": name, "dataset": _DATASET, **params}
        if checkpoint is not None:
            job["checkpoint"] = _CHECKPOINT
            self._recorder.fixtures.add_checkpoint(_CHECKPOINT, checkpoint)
        self._recorder.fixtures.add_dataset(_DATASET, _to_fixture_dataset(self._dataset))
        return run_job(
            {"action": "train", "params": job},
            plugin=_load_any_plugin(plugin),
            backend=self._recorder.build_backend(),
            executor="inline",
            results=self._folder,
            seed=_SEED,
        )


class Trainer(_Jobs):
    """`trialrun_train(plugin, **hyperparameter)`."""

    def __init__(
        self, recorder: FaultyRecorder, dataset: Any, folder: Path, checkpoint: str | Path | None = None
    ) -> None:
        super().__init__(recorder, dataset, folder)
        self._folder_given = folder
        self._checkpoint = checkpoint

    def __call__(self, plugin: Any, /, **hyperparameter: Any) -> JobResult:
        """Run a training job to its end and return its result. Raises TrainingFailed, the plugin's error chained."""
        return self._run_job(plugin, {"hyperparameter": hyperparameter}, self._checkpoint)

    def resuming(self, checkpoint: JobResult | str | Path) -> Trainer:
        """Return a Trainer that resumes from an artifact: `trialrun_train.resuming(first)(plugin, epochs=4)`."""
        path = _find_model_path(self._recorder, checkpoint) if isinstance(checkpoint, JobResult) else checkpoint
        return Trainer(self._recorder, self._dataset, self._folder_given, path)


class Tuner(_Jobs):
    """`trialrun_tune(plugin, space, …)`."""

    def __call__(
        self,
        plugin: Any,
        space: Iterable[Mapping[str, Any]] | Mapping[str, Iterable[Any]],
        /,
        *,
        metric: str = "loss",
        mode: str = "min",
        **tune_config: Any,
    ) -> JobResult:
        """Run a tuning job to its end and return its result; a trial that failed is in `result.failures`.

        `space` is a list of distributions, or a mapping from names to the values to try, all of them.
        """
        distributions = (
            [{"name": name, "type": "grid_search", "options": list(values)} for name, values in space.items()]
            if isinstance(space, Mapping)
            else [dict(distribution) for distribution in space]
        )
        config = {"metric": metric, "mode": mode, **tune_config}
        return self._run_job(plugin, {"is_tune": True, "hyperparameters": distributions, "tune_config": config}, None)


def _to_fixture_dataset(dataset: Any) -> Any:
    return Path(dataset) if isinstance(dataset, str | Path) else [dict(row) for row in dataset]


def _load_any_plugin(plugin: Any) -> Plugin:
    """Return the plugin; a bare function, whatever its name, is the train() of one."""
    if isinstance(plugin, FunctionType):
        code = ModuleType(plugin.__module__)
        return build_plugin(
            code, name=plugin.__name__, source=plugin.__qualname__, need_train=True, named={"train": plugin}
        )
    return load_plugin(plugin, need_train=True)


def _find_model_path(recorder: Recorder, result: JobResult) -> Path:
    model = next((model for model in recorder.models() if model["id"] == result.model_id), None)
    if model is None or model["path"] is None:
        raise UsageError("must be a result with a model", where="resuming", got=f"model_id={result.model_id}")
    path: Path = model["path"]
    return path
