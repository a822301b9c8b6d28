"""One job while it runs: its backend, its events on their way, and how it ends."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trialrun import __version__, events, progress
from trialrun.backend.ledger import DEAD_LETTERS, OWN, Ledger
from trialrun.backend.sink import LogSink
from trialrun.engine.backends import Backend
from trialrun.engine.event_bus import Hub
from trialrun.engine.flush import go_on
from trialrun.engine.preflight import Prepared, study_of
from trialrun.engine.training import train
from trialrun.engine.tuning import GO_ON, tune
from trialrun.engine.uploads import Origin
from trialrun.run_dir.checkpoints import restored_from
from trialrun.run_dir.history import Past
from trialrun.run_dir.record import RunRecord
from trialrun.run_dir.spool_reader import Spooled
from trialrun_hookspecs.errors import JobInterrupted, RequestInvalid, TrialrunError
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.results import JobResult, Status

__all__ = ["Nobody", "Opened", "Running", "Watcher"]

CLOSE_TIMEOUT_S = 30.0  # how long the end of a job waits for its last entries to arrive


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


class Nobody:
    """A watcher that does not look."""

    def opened(self, job: Opened) -> None:
        """Nobody looks on."""

    def heard(self, event: Event) -> None:
        """Nobody looks on."""


class Running:
    """One job while it runs."""

    def __init__(
        self,
        prepared: Prepared,
        backend: Backend,
        folder: Path,
        record: RunRecord,
        *,
        watcher: Watcher,
        muted: Sequence[str],
        past: Past | None = None,
        go_on: tuple[str, ...] = (),
    ) -> None:
        self._undelivered: list[str] = []
        self._prepared = prepared
        self._params = prepared.request.params
        self._backend = backend
        self._folder = folder
        self._record = record
        self._watcher = watcher
        self._muted = muted
        self._past = past or Past()
        self._go_on = go_on
        self._job_id = record.job_id
        self._register()

    def _register(self) -> None:
        """Make the job known to our own recorder, unless it is; a platform made it before it started us."""
        recorder = self._backend.recorder
        if recorder is None or self._job_id in {job["id"] for job in recorder.jobs()}:
            return
        request = self._prepared.request.model_dump(mode="json", exclude_none=True)
        recorder.create_job(
            self._params.name, request, plugin=self._prepared.plugin.name, version=__version__, job_id=self._job_id
        )

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
        late = [*self._muted, *self._undelivered]  # a slow report hook may hear of the end after it
        if late:
            result = result.model_copy(update={"warnings": [*result.warnings, *late]})
            self._write_result(result)
        return result

    @contextlib.contextmanager
    def _hub(self) -> Iterator[Hub]:
        ledger = Ledger(self._folder, OWN if self._backend.recorder is not None else self._backend.url)
        sink = LogSink(self._backend.inlet, entry=events.log_entry, patience=self._backend.patience, journal=ledger)
        spools = Spooled(self._folder / "spool", by_trials=self._params.is_tune)
        go_on(ledger, sink, spools)
        hub = Hub(
            spools,
            job_id=self._job_id,
            run_key=self._record.run_key,
            progress=progress.tuning() if self._params.is_tune else progress.training(),
            manager=self._prepared.manager,
            sink=sink,
            viewers=[self._watcher.heard],
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
            raise JobInterrupted("interrupted", where=f"job {self._job_id}", fix=f"{GO_ON}{self._folder}") from None
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
            shutil.rmtree(self._folder / "checkpoint", ignore_errors=True)  # of a run that goes on, perhaps in part
            checkpoint = self._backend.client.checkpoint(self._params.checkpoint, self._folder / "checkpoint")
        hub.progress("dataset", 1, 1)
        restore = restored_from(Path(self._record.restore)) if self._record.restore else None
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
                run_key=self._record.run_key,
                seed=self._prepared.seed,
                origin=origin,
                spool_limit=self._record.spool_limit,
                restore=restore,
            )
        study = study_of(
            self._prepared,
            job_id=self._job_id,
            run_key=self._record.run_key,
            dataset=dataset,
            checkpoint=checkpoint,
            results=self._folder,
            address=self._record.address,
            local_resources=self._record.local_resources,
            spool_limit=self._record.spool_limit,
            past=self._past,
            restore=restore,
            go_on=self._go_on,
        )
        return tune(
            study,
            self._prepared.executor,
            hub=hub,
            client=self._backend.client,
            origin=origin,
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
