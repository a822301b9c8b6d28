"""A job from its request to its result."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from trialrun import __version__, events, progress
from trialrun.backend.http import Tokens
from trialrun.backend.ledger import DEAD_LETTERS, OWN, Ledger
from trialrun.backend.sink import LogSink
from trialrun.backend.spool import SPOOL_LIMIT
from trialrun.compat import hints, with_max_t
from trialrun.engine.hub import Hub
from trialrun.engine.places import (
    Backend,
    at_url,
    fixtures_of,
    offers_of,
    recording,
    results_folder,
    tokens_from,
    without_tokens,
)
from trialrun.engine.training import train
from trialrun.engine.tuning import tune
from trialrun.engine.uploads import Origin
from trialrun.executors.base import Executor, Study
from trialrun.jobs import to_request
from trialrun.plugins import Manager, Plugin, load_plugin
from trialrun.recorder import Fixtures
from trialrun.space import Space
from trialrun_hookspecs.errors import JobInterrupted, RequestInvalid, TrialrunError
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.request import Request, advice, count_trials
from trialrun_hookspecs.results import JobResult, Status

__all__ = ["ExecutorName", "Opened", "Prepared", "Watcher", "prepare", "run"]

ExecutorName = Literal["ray", "inline"]

CLOSE_TIMEOUT_S = 30.0  # how long the end of a job waits for its last entries to arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that has passed preflight. `total` is the number of trials, None in training mode."""

    request: Request
    plugin: Plugin
    manager: Manager
    executor: Executor
    seed: int
    total: int | None
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where a job that starts can be watched. `token` is the recorder's, empty for a backend that is not ours."""

    prepared: Prepared
    job_id: int
    results: Path
    url: str
    token: str


class Watcher(Protocol):
    """Looks on: a terminal, a test."""

    def opened(self, job: Opened) -> None:
        """The job is about to run."""

    def heard(self, event: Event) -> None:
        """Something was reported. Called from one background thread."""


class _Nobody:
    def opened(self, job: Opened) -> None:
        """Nobody looks on."""

    def heard(self, event: Event) -> None:
        """Nobody looks on."""


def prepare(
    job: str | Path | Mapping[str, Any] | Request,
    *,
    plugin: Any,
    executor: ExecutorName = "ray",
    seed: int | None = None,
    plugins: Iterable[Any] = (),
    address: str | None = None,
    local_resources: Mapping[str, float] | None = None,
    muted: Any = None,
) -> Prepared:
    """Check all that can be checked before anything starts. Raises UsageError with every problem that was found."""
    request, note = with_max_t(to_request(job))
    loaded = load_plugin(plugin, need_train=True)
    manager = Manager([loaded, *(load_plugin(other) for other in plugins)], on_mute=muted or (lambda name, error: None))
    drawn = _seed(request, seed)
    # training needs no executor, and importing ray takes seconds
    chosen = _executor("inline" if executor == "ray" and not request.params.is_tune else executor)
    prepared = Prepared(
        request=request,
        plugin=loaded,
        manager=manager,
        executor=chosen,
        seed=drawn,
        total=count_trials(request),
        advice=tuple(filter(None, [*advice(request), note, *hints(request)])),
    )
    if request.params.is_tune:
        chosen.preflight(study_of(prepared, address=address, local_resources=local_resources or {}))
    return prepared


def _seed(request: Request, seed: int | None) -> int:
    if seed is not None and not 0 <= seed < 2**32:
        raise RequestInvalid("must be at least 0 and below 2**32", where="--seed", got=str(seed))
    config = request.params.tune_config
    if seed is None and config is not None:
        seed = config.seed
    return secrets.randbelow(2**31) if seed is None else seed


def _executor(name: str) -> Executor:
    if name == "inline":
        from trialrun.executors.inline import InlineExecutor

        return InlineExecutor()
    if name != "ray":
        raise RequestInvalid("must be 'ray' or 'inline'", where="--executor", got=repr(name))
    from trialrun.executors.ray_tune.executor import RayExecutor

    return RayExecutor()


def study_of(prepared: Prepared, **known: Any) -> Study:
    """The study of a tuning job; what is not known before it runs has a value that nothing reads."""
    params = prepared.request.params
    given: dict[str, Any] = {
        "job_id": 0,
        "run_key": "plan0",
        "dataset": None,
        "checkpoint": None,
        "results": Path(),
        **known,
    }
    return Study(
        params=params,
        tune_config=params.tuning,
        space=Space(params.hyperparameters or ()),
        total=prepared.total or 0,
        seed=prepared.seed,
        plugin=prepared.plugin,
        manager=prepared.manager,
        **given,
    )


def run(
    job: str | Path | Mapping[str, Any] | Request,
    *,
    plugin: Any,
    datasets: Mapping[int, Any] | None = None,
    checkpoints: Mapping[int, str | Path] | None = None,
    backend: str | Backend | None = None,
    job_id: int | None = None,
    address: str | None = None,
    executor: ExecutorName = "ray",
    results: str | Path = "trialrun-results",
    seed: int | None = None,
    plugins: Iterable[Any] = (),
    local_resources: Mapping[str, float] | None = None,
    watcher: Watcher | None = None,
    spool_limit: int | None = SPOOL_LIMIT,
) -> JobResult:
    """Run a job and return its result, which also stands in `result.json` of its results folder.

    job: a path of a JSON or YAML file, a dict, or a request.
    plugin: see `load_plugin`; plugins: others whose hooks are asked too (report, datasets, …).
    datasets, checkpoints: id -> what our recorder serves under it (a path, rows, or the name of a dataset).
    backend: URL of a running backend, or one that is open already and stays so; None starts a recorder of our own.
        Credentials come from the environment.
    address: of a Ray cluster; None joins the one of this process or RAY_ADDRESS, or starts a local one.
    local_resources: what a local Ray is started with, such as {"CPU": 4, "GPU": 1}.
    spool_limit: bytes that each trial's spool may hold; a log_* call beyond it raises SpoolFull. None: no bound.

    Raises UsageError before anything runs, and JobFailed (TrainingFailed, AllTrialsFailed, JobInterrupted) or
    BackendError afterwards; what was recorded until then stays readable.
    """
    muted: list[str] = []
    prepared = prepare(
        job,
        plugin=plugin,
        executor=executor,
        seed=seed,
        plugins=plugins,
        address=address,
        local_resources=local_resources,
        muted=lambda name, error: muted.append(f"plugin {name} raised in report() and hears no more: {error!r}"),
    )
    offers = offers_of(prepared.manager, datasets or {})
    fixtures = fixtures_of(datasets or {}, checkpoints or {}, offers)
    folder, number = results_folder(Path(results), prepared.request, job_id)
    _write_job(folder, prepared)
    tokens = tokens_from(os.environ)
    without_tokens()
    with _place(backend, tokens, folder, fixtures) as there:
        running = _Running(
            prepared, there, folder, number, address, local_resources or {}, watcher or _Nobody(), muted, spool_limit
        )
        return running.result()


def _place(
    backend: str | Backend | None, tokens: Tokens, folder: Path, fixtures: Fixtures
) -> contextlib.AbstractContextManager[Backend]:
    if isinstance(backend, Backend):
        return contextlib.nullcontext(backend)
    return at_url(backend, tokens) if backend else recording(folder / "recorder.sqlite", fixtures)


def _write_job(folder: Path, prepared: Prepared) -> None:
    data = prepared.request.model_dump(mode="json", exclude_none=True)
    if "tune_config" in data["params"]:
        data["params"]["tune_config"]["seed"] = prepared.seed
    text = json.dumps(data, indent=2, ensure_ascii=False)
    (folder / "job.json").write_text(text + "\n", encoding="utf-8")


class _Running:
    """One job while it runs."""

    def __init__(
        self,
        prepared: Prepared,
        backend: Backend,
        folder: Path,
        number: int,
        address: str | None,
        local_resources: Mapping[str, float],
        watcher: Watcher,
        muted: Sequence[str],
        spool_limit: int | None,
    ) -> None:
        self._spool_limit = spool_limit
        self._undelivered: list[str] = []
        self._prepared = prepared
        self._params = prepared.request.params
        self._backend = backend
        self._folder = folder
        self._address = address
        self._local_resources = local_resources
        self._watcher = watcher
        self._muted = muted
        self._job_id = self._registered(number)
        self._run_key = secrets.token_hex(5)

    def _registered(self, number: int) -> int:
        """The job on our own recorder; a platform made it before it started us."""
        recorder = self._backend.recorder
        if recorder is not None:
            request = self._prepared.request.model_dump(mode="json", exclude_none=True)
            recorder.create_job(
                self._params.name, request, plugin=self._prepared.plugin.name, version=__version__, job_id=number
            )
        return number

    def result(self) -> JobResult:
        taken = self._backend.client.name_taken(self._params.name, job_id=self._job_id, models=not self._params.is_tune)
        if taken:
            fix = "Choose another name."
            raise RequestInvalid(f"is taken: {taken}", where="params.name", got=repr(self._params.name), fix=fix)
        opened = Opened(
            prepared=self._prepared,
            job_id=self._job_id,
            results=self._folder,
            url=self._backend.url,
            token=self._backend.token,
        )
        self._watcher.opened(opened)
        with self._hub() as hub:
            result = self._guarded(hub)
        if self._undelivered:
            result = result.model_copy(update={"warnings": [*result.warnings, *self._undelivered]})
            self._write_result(result)
        return result

    @contextlib.contextmanager
    def _hub(self) -> Iterator[Hub]:
        ledger = Ledger(self._folder, OWN if self._backend.recorder is not None else self._backend.url)
        sink = LogSink(self._backend.inlet, entry=events.log_entry, patience=self._backend.patience, journal=ledger)
        hub = Hub(
            self._folder / "spool",
            job_id=self._job_id,
            run_key=self._run_key,
            progress=progress.tuning() if self._params.is_tune else progress.training(),
            manager=self._prepared.manager,
            sink=sink,
            viewers=[self._watcher.heard],
            by_trials=self._params.is_tune,
        )
        try:
            yield hub
        finally:
            self._undelivered = hub.close(CLOSE_TIMEOUT_S)
            sink.close(timeout=CLOSE_TIMEOUT_S)
            ledger.close()
            self._undelivered += _losses(sink, self._folder)
            if self._undelivered:
                note = "\n".join(self._undelivered)
                (self._folder / "undelivered.txt").write_text(note + "\n", encoding="utf-8")

    def _guarded(self, hub: Hub) -> JobResult:
        """Whatever happens, the backend hears how it ended."""
        hub.emit(events.status("RUNNING"))
        try:
            result = self._execute(hub)
        except KeyboardInterrupt:
            self._ended(hub, "STOPPED", "interrupted")
            raise JobInterrupted("interrupted", where=f"job {self._job_id}", fix="Its results so far stay.") from None
        except TrialrunError as error:
            self._ended(hub, "STOPPED" if isinstance(error, JobInterrupted) else "FAILED", str(error))
            raise
        except Exception as error:
            self._ended(hub, "FAILED", f"{type(error).__name__}: {error}")
            raise
        self._write_result(result)
        hub.emit(events.result(_platform_result(result)))
        self._ended(hub, result.status)
        return result

    def _execute(self, hub: Hub) -> JobResult:
        dataset = self._backend.client.dataset(self._params.dataset, self._folder / "dataset")
        checkpoint = None
        if self._params.checkpoint is not None:
            checkpoint = self._backend.client.checkpoint(self._params.checkpoint, self._folder / "checkpoint")
        hub.progress("dataset", 1, 1)
        origin = Origin(self._prepared.plugin.name, __version__)
        if not self._params.is_tune:
            return train(
                self._prepared.plugin,
                self._params,
                hub=hub,
                client=self._backend.client,
                dataset=dataset,
                checkpoint=checkpoint,
                folder=self._folder,
                job_id=self._job_id,
                run_key=self._run_key,
                seed=self._prepared.seed,
                origin=origin,
                muted=self._muted,
                spool_limit=self._spool_limit,
            )
        study = study_of(
            self._prepared,
            job_id=self._job_id,
            run_key=self._run_key,
            dataset=dataset,
            checkpoint=checkpoint,
            results=self._folder,
            address=self._address,
            local_resources=self._local_resources,
            spool_limit=self._spool_limit,
        )
        return tune(
            study,
            self._prepared.executor,
            hub=hub,
            client=self._backend.client,
            origin=origin,
            muted=self._muted,
        )

    def _ended(self, hub: Hub, status: Status, error: str | None = None) -> None:
        hub.drain()  # what trials reported comes before the news of the end
        if error is not None:
            hub.message(error, "danger")
            self._write_error(status, error)
        hub.emit(events.status(status, error))
        hub.message("the run is complete", "success" if status == "SUCCEEDED" else "warning")

    def _write_result(self, result: JobResult) -> None:
        text = json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        (self._folder / "result.json").write_text(text + "\n", encoding="utf-8")

    def _write_error(self, status: Status, error: str) -> None:
        path = self._folder / "result.json"
        if not path.exists():
            data = {"model_id": None, "job_id": self._job_id, "status": status, "error": error}
            path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _losses(sink: LogSink, folder: Path) -> list[str]:
    lost = []
    if sink.refused:
        kept = f"they are kept in {folder / DEAD_LETTERS}"
        lost.append(f"the backend refused {len(sink.refused)} entries; {kept}; the first: {sink.refused[0].reason}")
    if sink.undelivered:
        fix = f"`trialrun flush {folder}` sends them later"
        lost.append(f"{sink.undelivered} entries did not reach the backend ({sink.trouble}); {fix}")
    return lost


def _platform_result(result: JobResult) -> dict[str, Any]:
    if result.best_trial is None and not result.trial_models:
        return {"model_id": result.model_id}
    return result.model_dump(mode="json", include={"model_id", "best_trial", "trial_models"})
