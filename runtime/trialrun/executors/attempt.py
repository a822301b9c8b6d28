"""One call of a plugin: its spool, events, working folder, output streams, seed and traceback."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trialrun import events
from trialrun.executors.workspace import (
    capture_output,
    change_directory,
    get_hidden_stderr,
    restore_process,
    seed_all,
    tee_output,
)
from trialrun.job_run import EventEmitter
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import CheckpointRecord, write_checkpoint_record
from trialrun.run_dir.run_config import RunConfig
from trialrun.run_dir.spool import SpoolWriter

__all__ = ["Attempt", "AttemptSpec", "open_attempt", "override_checkpoint"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """Where a plugin is called and how its events are named; trials and training differ in nothing else.

    `spool_name` is the trial's id, or `train`; `trial_id` is None in training. With `output_files` None the output is
    not kept; with `capture` the files also get what child processes and C code print, and nothing is shown.
    """

    job_id: int
    run_key: str
    trial_id: str | None
    spool_name: str
    seed: int
    folder: Path
    spool_dir: Path
    run_config: RunConfig
    output_files: tuple[str, str] | None = layout.OUTPUT_FILES
    capture: bool = False


class Attempt:
    """An attempt whose spool is open. `number` counts the attempts before it, in earlier runs too."""

    def __init__(self, spec: AttemptSpec, number: int, send: Callable[[str], None]) -> None:
        self.spec = spec
        self.number = number
        self._key_prefix = f"{spec.run_key}-{spec.spool_name}-"  # of the events of every attempt
        self.emit = EventEmitter(send, job_id=spec.job_id, trial_id=spec.trial_id, prefix=f"{self._key_prefix}{number}")

    def emit_resumed(self, start: CheckpointRecord | None) -> None:
        """Report which events of earlier attempts are repeated: those after `start`, or all, so each shows once."""
        iteration, after = (start.iteration, (start.attempt, start.number)) if start else (0, None)
        self.emit(events.resume_event(self.spec.trial_id, self.number, iteration, self._key_prefix, after))

    def record_checkpoint(
        self, path: str, iteration: int, *, metrics: Mapping[str, Any], report: Mapping[str, Any]
    ) -> None:
        """Record in the working folder that the checkpoint of report number `iteration` is complete."""
        record = CheckpointRecord(
            path=path,
            iteration=iteration,
            attempt=self.number,
            number=self.emit.event_count - 1,
            metrics=events.to_plain(metrics, "report", "null"),
            report=events.to_plain(report, "report", "null"),
        )
        write_checkpoint_record(self.spec.folder, record)

    def call_plugin(self, call: Callable[[], T], *, failures: tuple[type[BaseException], ...] = (Exception,)) -> T:
        """Return what `call` returns, after a run in the working folder, seeded, with its output in files.

        Exceptions of the classes `failures` leave a traceback in the stderr file. Every exception is raised again.
        """
        spec = self.spec
        with contextlib.ExitStack() as stack:
            stack.enter_context(restore_process())
            stack.enter_context(change_directory(spec.folder))
            if spec.output_files is not None:
                redirect = capture_output if spec.capture else tee_output
                stack.enter_context(redirect(spec.folder, spec.output_files))
            seed_all(spec.seed)
            try:
                return call()
            except failures:
                traceback.print_exc(file=get_hidden_stderr())
                raise


@contextlib.contextmanager
def open_attempt(spec: AttemptSpec) -> Iterator[Attempt]:
    """Yield a new attempt with a spool file of its own: the file of an interrupted attempt is never written again."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    spec.spool_dir.mkdir(parents=True, exist_ok=True)
    number = 0
    while (path := spec.spool_dir / layout.spool_name(spec.spool_name, number)).exists():
        number += 1
    with SpoolWriter(path, spec.run_config.spool_limit) as writer:
        yield Attempt(spec, number, writer.write)


def override_checkpoint(checkpoint: dict[str, Any] | None, resumed: Path | None) -> dict[str, Any] | None:
    """Return what the plugin gets as `checkpoint`: the job's, or the one that the attempt resumes from."""
    return checkpoint if resumed is None else {**(checkpoint or {}), "path": str(resumed), "resumed": True}
