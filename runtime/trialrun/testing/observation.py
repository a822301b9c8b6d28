"""The observation: the facts about one run of a scenario, read in the parent process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialrun.run_dir import layout
from trialrun.testing.scenario import Scenario

if TYPE_CHECKING:
    from trialrun.recorder import Recorder

__all__ = ["ErrorRecord", "Observation"]

_TAIL = 64_000  # bytes of a child's output


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """An exception. `where` is the last line of the plugin's own code in the traceback."""

    type: str
    message: str
    where: tuple[str, int] | None = None
    traceback: str = ""
    bases: tuple[str, ...] = ()  # names of its class and the base classes

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, kw_only=True)  # cached_property needs a __dict__
class Observation:
    """Plain data about one run; `recorder`, `stdout` and `stderr` are read on access.

    At most one of `has_ended` (the child reported its end), `timed_out` and `has_crashed` is true. `exit_code` is minus
    the signal's number when a signal killed the child. `seconds` is wall-clock time.
    """

    scenario: Scenario
    folder: Path
    seconds: float
    timed_out: bool = False
    exit_code: int | None = None
    processes_left: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def has_ended(self) -> bool:
        """Return whether the child ended by itself; `error` then holds the exception that the plugin raised."""
        return bool(self.facts.get("done")) and not self.timed_out

    @property
    def ok(self) -> bool:
        """Return whether the run ended without an error."""
        return self.has_ended and self.error is None

    @property
    def has_crashed(self) -> bool:
        return not self.has_ended and not self.timed_out

    @property
    def status_text(self) -> str:
        """The end of the run in a few words."""
        if self.timed_out:
            return f"still running after {self.scenario.timeout_s:.2g} s"
        if self.has_crashed:
            code = self.exit_code
            return f"killed by signal {-code}" if code is not None and code < 0 else f"the process exited with {code}"
        return str(self.error) if self.error else "ended"

    # results

    @property
    def result(self) -> dict[str, Any] | None:
        """The job's result, as in result.json, or None."""
        return self.facts.get("result")

    @property
    def error(self) -> ErrorRecord | None:
        """The plugin's own exception where there was one, else the job's, or None."""
        return _parse_error(self.facts.get("error"))

    @property
    def hook_errors(self) -> list[ErrorRecord]:
        """The exceptions of hook calls, one per call that raised."""
        return [error for call in self.hook_calls if (error := _parse_error(call.get("error")))]

    @property
    def hook_calls(self) -> list[dict[str, Any]]:
        """The calls of train and tune, in the order in which they ended.

        Keys: hook, trial_id, pid, started, seconds, cwd, checkpoint, returned, returned_type, artifact, error, calls,
        hyperparameter_before, hyperparameter_after, dataset_hash_before, dataset_hash_after, threads_left,
        output_before and checkpoint_output (run.checkpoint_output, before and when it was set), yields.
        """
        return list(self.facts.get("hooks", ()))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The uses of `run`, in order: n, name, args, kwargs, time, trial_id, file, line, raised.

        Setting an attribute is a call named `set:checkpoint_output`; reading one, `get:checkpoint_output`.
        """
        return [call for hook in self.hook_calls for call in hook["calls"]]

    def find_calls(self, name: str) -> list[dict[str, Any]]:
        """Return the uses of `run` with this name."""
        return [call for call in self.calls if call["name"] == name]

    @property
    def probe_answer(self) -> Any:
        """The return value of a probe, as JSON data."""
        return self.facts.get("answer")

    @property
    def artifact_path(self) -> Path | None:
        """An existing artifact to resume from: train()'s return value or a trial's `checkpoint_output`; else None."""
        for hook in reversed(self.hook_calls):
            for path in (hook.get("artifact"), hook.get("checkpoint_output")):
                if path and Path(path).exists():
                    return Path(path)
        return None

    # effects on the process and the machine

    @property
    def threads_left(self) -> list[str]:
        """The names of threads that still ran at the end of the run."""
        return list(self.facts.get("threads_left", ()))

    @property
    def files_outside(self) -> list[dict[str, Any]]:
        """Changes of files outside the run's folder: path, event, phase, where."""
        return list(self.facts.get("files_outside", ()))

    @property
    def network_events(self) -> list[dict[str, Any]]:
        """Connections to other machines, and any bind: event, address, phase, where."""
        return list(self.facts.get("network", ()))

    @property
    def process_starts(self) -> list[dict[str, Any]]:
        """The starts of processes: event, what, phase, where."""
        return list(self.facts.get("processes_started", ()))

    @property
    def environment_changes(self) -> dict[str, Any]:
        """Environment variables that the plugin changed: name -> [before, after], by phase: {"load": …, "run": …}."""
        return dict(self.facts.get("environment_changes", {}))

    @property
    def state_changes(self) -> dict[str, Any]:
        """Settings of the whole process that the plugin changed, by phase: signal handlers, cwd, patched functions."""
        return dict(self.facts.get("state_changes", {}))

    # the import

    @property
    def load_facts(self) -> dict[str, Any]:
        """Facts about the import: seconds, cpu_seconds, modules, threads, name, source, inside, hooks, conformance."""
        return dict(self.facts.get("loaded", {}))

    @property
    def import_seconds(self) -> float | None:
        return self.load_facts.get("seconds")

    @property
    def modules(self) -> list[str]:
        """The top-level modules that loading the plugin imported."""
        return list(self.load_facts.get("modules", ()))

    @property
    def libraries(self) -> list[str]:
        """The imported modules of installed libraries, in order. Empty unless a load run found a slow import."""
        return list(self.load_facts.get("libraries", ()))

    @property
    def hook_signatures(self) -> dict[str, dict[str, Any]]:
        """Hook -> text, file, line, parameters [{name, kind, has_default}], is_generator, is_async."""
        return dict(self.load_facts.get("hooks", {}))

    # output and recording

    @property
    def stdout(self) -> str:
        """The last part of the child's standard output."""
        return _read_tail(self.folder / "stdout")

    @property
    def stderr(self) -> str:
        return _read_tail(self.folder / "stderr")

    @property
    def stack_dump(self) -> str:
        """The stacks of all threads at the time-out or the crash of the process, or ""."""
        return _read_tail(self.folder / "stuck")

    @property
    def hang_location(self) -> tuple[str, int] | None:
        """File and line of the plugin at which the process hung or crashed, or None."""
        inside = self.load_facts.get("inside") or self.scenario.plugin
        for file, line in re.findall(r'File "(.+)", line (\d+) in ', self.stack_dump):
            if file == inside or file.startswith(f"{inside}/"):
                return file, int(line)
        return None

    @property
    def output_bytes(self) -> int:
        """The bytes that the child printed, on both streams."""
        files = (self.folder / "stdout", self.folder / "stderr")
        return sum(path.stat().st_size for path in files if path.exists())

    @property
    def has_recording(self) -> bool:
        return (self.folder / layout.RECORDING).exists()

    @cached_property
    def recorder(self) -> Recorder:
        """The recording, read-only; an empty one when the run recorded nothing."""
        from trialrun.recorder import Recorder

        path = self.folder / layout.RECORDING
        return Recorder.open(path) if path.exists() else Recorder()

    def reports(self, trial_id: str | None = None) -> list[dict[str, Any]]:
        """Return the reports of trials, in order: each has trial_id, iteration, metrics and time."""
        events = self.recorder.events("trial_result", trial_id=trial_id)
        return [
            {**event["data"], "trial_id": event["trial_id"] or event["data"].get("trial_id"), "time": event["time"]}
            for event in events
        ]

    @classmethod
    def from_folder(
        cls,
        scenario: Scenario,
        folder: Path,
        *,
        seconds: float,
        timed_out: bool,
        exit_code: int | None,
        processes_left: Sequence[str] = (),
    ) -> Observation:
        """Read a child's folder. A child that died left only `partial.json` and its finished hook calls."""
        facts = _read_object(folder / "observation.json") or {
            **_read_object(folder / "partial.json"),
            "hooks": [entry for path in sorted((folder / "hooks").glob("*.json")) if (entry := _read_object(path))],
        }
        return cls(
            scenario=scenario,
            folder=folder,
            seconds=seconds,
            timed_out=timed_out,
            exit_code=exit_code,
            processes_left=tuple(processes_left),
            facts=facts,
        )


def _read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty dict when there is none."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _parse_error(data: Mapping[str, Any] | None) -> ErrorRecord | None:
    if not data:
        return None
    where = data.get("where")
    return ErrorRecord(
        type=data["type"],
        message=data["message"],
        where=(where[0], where[1]) if where else None,
        traceback=data.get("traceback", ""),
        bases=tuple(data.get("bases", ())),
    )


def _read_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
