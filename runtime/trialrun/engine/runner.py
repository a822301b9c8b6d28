"""One job while it runs: its backend, its events on their way, and how it ends."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trialrun import events, progress
from trialrun._version import __version__
from trialrun.backend.ledger import OWN_RECORDER, Ledger
from trialrun.backend.sink import LogSink
from trialrun.engine.backends import Backend
from trialrun.engine.event_bus import EventBus
from trialrun.engine.flush import resend_unanswered
from trialrun.engine.preflight import PreparedJob, build_study
from trialrun.engine.training import run_training
from trialrun.engine.tuning import RESUME_HINT, run_study
from trialrun.engine.uploads import PluginOrigin
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import find_checkpoint
from trialrun.run_dir.history import StudyHistory
from trialrun.run_dir.record import RunRecord
from trialrun.run_dir.spool_reader import MergedSpools
from trialrun_hookspecs.errors import JobInterrupted, RequestInvalid, TrialrunError
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.results import JobResult, Status

__all__ = ["JobObserver", "JobRunner", "JobStarted", "NullObserver"]

CLOSE_TIMEOUT_S = 30.0  # how long the end of a job waits for its last entries to arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """Where a job that starts can be watched. `token` is the recorder's, empty for a backend that is not ours."""

    prepared: PreparedJob
    job_id: int
    results: Path
    url: str
    token: str


class JobObserver(Protocol):
    """Looks on: a terminal, a test."""

    def on_job_start(self, job: JobStarted) -> None:
        """The job is about to run."""

    def on_event(self, event: Event) -> None:
        """Something was reported. Called from one background thread."""


class NullObserver:
    """A watcher that does not look."""

    def on_job_start(self, job: JobStarted) -> None:
        """Nobody looks on."""

    def on_event(self, event: Event) -> None:
        """Nobody looks on."""


class JobRunner:
    """One job while it runs."""

    def __init__(
        self,
        prepared: PreparedJob,
        backend: Backend,
        folder: Path,
        record: RunRecord,
        *,
        watcher: JobObserver,
        muted: Sequence[str],
        history: StudyHistory | None = None,
        resumed: tuple[str, ...] = (),
    ) -> None:
        self._undelivered: list[str] = []
        self._prepared = prepared
        self._params = prepared.request.params
        self._backend = backend
        self._folder = folder
        self._record = record
        self._watcher = watcher
        self._muted = muted
        self._history = history
        self._resumed = resumed
        self._job_id = record.job_id
        self._register_job()

    def _register_job(self) -> None:
        """Make the job known to our own recorder, unless it is; a platform made it before it started us."""
        recorder = self._backend.recorder
        if recorder is None or self._job_id in {job["id"] for job in recorder.jobs()}:
            return
        request = self._prepared.request.model_dump(mode="json", exclude_none=True)
        recorder.create_job(
            self._params.name, request, plugin=self._prepared.plugin.name, version=__version__, job_id=self._job_id
        )

    def run(self) -> JobResult:
        taken = self._backend.client.find_name_conflict(
            self._params.name, job_id=self._job_id, models=not self._params.is_tune
        )
        if taken:
            fix = "Choose another name."
            raise RequestInvalid(f"is taken: {taken}", where="params.name", got=repr(self._params.name), fix=fix)
        opened = JobStarted(
            prepared=self._prepared,
            job_id=self._job_id,
            results=self._folder,
            url=self._backend.url,
            token=self._backend.token,
        )
        self._watcher.on_job_start(opened)
        with self._open_event_bus() as bus:
            result = self._run_and_report(bus)
        late = [*self._muted, *self._undelivered]  # a slow report hook may hear of the end after it
        if late:
            result = result.model_copy(update={"warnings": [*result.warnings, *late]})
            self._write_result(result)
        return result

    @contextlib.contextmanager
    def _open_event_bus(self) -> Iterator[EventBus]:
        ledger = Ledger(self._folder, OWN_RECORDER if self._backend.recorder is not None else self._backend.url)
        sink = LogSink(
            self._backend.delivery_client,
            entry=events.to_log_entry,
            patience=self._backend.retry_policy,
            journal=ledger,
        )
        spools = MergedSpools(self._folder / layout.SPOOL_DIR, by_trials=self._params.is_tune)
        resend_unanswered(ledger, sink, spools)
        bus = EventBus(
            spools,
            job_id=self._job_id,
            run_key=self._record.run_key,
            progress=progress.tuning_progress() if self._params.is_tune else progress.training_progress(),
            manager=self._prepared.manager,
            sink=sink,
            viewers=[self._watcher.on_event],
        )
        try:
            yield bus
        finally:
            self._undelivered = bus.close(CLOSE_TIMEOUT_S)
            sink.close(timeout=CLOSE_TIMEOUT_S)
            ledger.close()
            self._undelivered += _describe_losses(sink, self._folder)
            if self._undelivered:
                note = "\n".join(self._undelivered)
                (self._folder / layout.UNDELIVERED).write_text(note + "\n", encoding="utf-8")

    def _run_and_report(self, bus: EventBus) -> JobResult:
        """Whatever happens, the backend hears how it ended."""
        bus.emit(events.status_event("RUNNING"))
        try:
            result = self._execute_job(bus)
        except KeyboardInterrupt:
            self._report_end(bus, "STOPPED", "interrupted")
            raise JobInterrupted(
                "interrupted", where=f"job {self._job_id}", fix=f"{RESUME_HINT}{self._folder}"
            ) from None
        except TrialrunError as error:
            self._report_end(bus, "STOPPED" if isinstance(error, JobInterrupted) else "FAILED", str(error))
            raise
        except Exception as error:
            self._report_end(bus, "FAILED", f"{type(error).__name__}: {error}")
            raise
        self._write_result(result)
        bus.emit(events.result_event(_platform_result(result)))
        self._report_end(bus, result.status)
        return result

    def _execute_job(self, bus: EventBus) -> JobResult:
        dataset, checkpoint = self._download_inputs()
        bus.emit_progress("dataset", 1, 1)
        restore = self._record.run_config.restore
        start = find_checkpoint(Path(restore)) if restore else None
        origin = PluginOrigin(self._prepared.plugin.name, __version__)
        if not self._params.is_tune:
            return run_training(
                self._prepared,
                self._record,
                self._folder,
                dataset=dataset,
                checkpoint=checkpoint,
                restore=start,
                bus=bus,
                client=self._backend.client,
                origin=origin,
            )
        study = build_study(
            self._prepared,
            job_id=self._job_id,
            run_key=self._record.run_key,
            dataset=dataset,
            checkpoint=checkpoint,
            results=self._folder,
            history=self._history,
            restore=start,
            resumed=self._resumed,
        )
        return run_study(study, self._prepared.executor, bus=bus, client=self._backend.client, origin=origin)

    def _download_inputs(self) -> tuple[Any, dict[str, Any] | None]:
        """Return the dataset and, where the job names one, the checkpoint."""
        client = self._backend.client
        dataset = client.download_dataset(self._params.dataset, self._folder / layout.DATASET_DIR)
        if self._params.checkpoint is None:
            return dataset, None
        shutil.rmtree(
            self._folder / layout.CHECKPOINT_DIR, ignore_errors=True
        )  # of a run that is resumed, perhaps incomplete
        return dataset, client.download_checkpoint(self._params.checkpoint, self._folder / layout.CHECKPOINT_DIR)

    def _report_end(self, bus: EventBus, status: Status, error: str | None = None) -> None:
        bus.drain()  # what trials reported comes before the news of the end
        if error is not None:
            bus.emit_message(error, "danger")
            self._write_error(status, error)
        bus.emit(events.status_event(status, error))
        bus.emit_message("the run is complete", "success" if status == "SUCCEEDED" else "warning")

    def _write_result(self, result: JobResult) -> None:
        text = json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        (self._folder / layout.RESULT).write_text(text + "\n", encoding="utf-8")

    def _write_error(self, status: Status, error: str) -> None:
        path = self._folder / layout.RESULT
        if not path.exists():
            data = {"model_id": None, "job_id": self._job_id, "status": status, "error": error}
            path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _describe_losses(sink: LogSink, folder: Path) -> list[str]:
    lost = []
    if sink.refused_events:
        kept = f"they are kept in {folder / layout.DEAD_LETTERS}"
        first = sink.refused_events[0].reason
        lost.append(f"the backend refused {len(sink.refused_events)} entries; {kept}; the first: {first}")
    if sink.pending_count:
        fix = f"`trialrun flush {folder}` sends them later"
        lost.append(f"{sink.pending_count} entries did not reach the backend ({sink.trouble}); {fix}")
    return lost


def _platform_result(result: JobResult) -> dict[str, Any]:
    if result.best_trial is None and not result.trial_models:
        return {"model_id": result.model_id}
    return result.model_dump(mode="json", include={"model_id", "best_trial", "trial_models"})
