"""The causes of trial failures: an exception of the plugin, or the death of its process or node."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

from trialrun.executors.study_outcome import read_stderr_tail
from trialrun.executors.trial import PluginExited
from trialrun.run_dir.layout import OUTPUT_FILES
from trialrun_hookspecs.results import FailureCause

__all__ = ["Failure", "OutOfMemoryKills", "read_failure"]

_FATAL = re.compile(r"Fatal Python error: (.+)|\*\*\* (SIG\w+) received")
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure. The first line of `error` says what happened; `traceback` holds all that is known."""

    error: str = ""
    traceback: str = ""
    cause: FailureCause = ""
    node: str = ""
    stderr: str = ""


class OutOfMemoryKills:
    """Counts the processes of this node that the kernel killed for lack of memory: Ray does not know of them."""

    def __init__(self, counters: tuple[Path, ...] = _COUNTERS) -> None:
        self._counters = counters
        self._known = self._count_kills()

    def _count_kills(self) -> int:
        total = 0
        for path in self._counters:
            try:
                found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
            except OSError:
                continue
            total += int(found.group(1)) if found else 0
        return total

    def has_new_kills(self) -> bool:
        """Return True if there were any since the last call."""
        before, self._known = self._known, self._count_kills()
        return self._known > before


def read_failure(
    trial: Any, folder: Path, killed: OutOfMemoryKills, files: tuple[str, str] | None = OUTPUT_FILES
) -> Failure:
    """Return the trial's last failure, classified. `files` names those in `folder` with its stdout and stderr."""
    stderr = read_stderr_tail(folder, files, whole=True)
    short = read_stderr_tail(folder, files)
    node = str((trial.last_result or {}).get("hostname", ""))
    pickled, text = trial.pickled_error_file, trial.error_file
    if pickled and Path(pickled).exists():
        error = ray.cloudpickle.loads(Path(pickled).read_bytes())
        inner = error.cause if isinstance(error, RayTaskError) else error
        cause, line = _classify_error(inner, stderr, killed)
        line = "\n".join([line, *getattr(inner, "__notes__", ())])
        return Failure(error=line, traceback=str(error), cause=cause, node=node, stderr=short)
    message = Path(text).read_text(encoding="utf-8").strip() if text and Path(text).exists() else "unknown error"
    return Failure(
        error=message.splitlines()[-1],
        traceback=message,
        cause="raised",
        node=node,
        stderr=read_stderr_tail(folder, files),
    )


def _classify_error(error: BaseException, stderr: str, killed: OutOfMemoryKills) -> tuple[FailureCause, str]:
    text = str(error).strip()
    if isinstance(error, PluginExited):
        return "exited", text
    if isinstance(error, OutOfMemoryError) or "low on memory" in text:
        return "out_of_memory", f"Ray ended its worker for lack of memory: {_shorten_text(text)}"
    if isinstance(error, NodeDiedError | ActorUnavailableError) or re.search(r"node (has )?died|node is dead", text):
        return "node_lost", f"its node was lost: {_shorten_text(text)}"
    if not isinstance(error, RayActorError):
        return "raised", f"{type(error).__name__}: {text}"
    fatal = _FATAL.search(stderr)
    if fatal:
        return "crashed", f"its worker process crashed: {fatal.group(1) or fatal.group(2)}"
    if killed.has_new_kills():
        return "out_of_memory", "the kernel killed its worker process for lack of memory"
    exited = re.search(r"exits with an exit code (\d+)", text)
    if exited:
        return "exited", f"its worker process exited with exit code {exited.group(1)}"
    return (
        "killed",
        f"its worker process died without a message: killed from outside, or by os._exit ({_shorten_text(text)})",
    )


def _shorten_text(text: str) -> str:
    """Return the first sentence of the detail in Ray's paragraphs about the death of a worker."""
    found = re.search(r"Worker exit detail: ([^.]*)", text) or re.search(r"(The actor [^.]*)", text)
    return (found.group(1) if found else text.partition("\n")[0])[:200].strip()
