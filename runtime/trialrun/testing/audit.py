"""The audit log: a plugin's effects on files, network, processes and its own process, from audit events."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

__all__ = ["AuditLog", "read_process_state"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {  # event -> which of its arguments are paths that are changed
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "shutil.rmtree": (0,),
    "sqlite3.connect": (0,),
    "tempfile.mkdtemp": (0,),
    "tempfile.mkstemp": (0,),
}
_PROCESSES = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "os.spawn")
_IGNORED = ("/dev/", "/proc/", "/sys/")
_MOST = 200


class AuditLog:
    """Records audit events from `start()` on. Use it in a child process only: an audit hook cannot be removed.

    `phase` is "load" while the plugin is imported, "run" while a hook of the plugin runs, and "engine" otherwise.
    Events of the phase "engine" are not recorded.
    """

    def __init__(self, folder: str, inside: Callable[[], str]) -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._inside = inside
        self._pid = os.getpid()
        self._busy = False
        self.disk_is_full = False
        self.disk_struck = 0
        self.phase = "engine"
        self.files: dict[tuple[str, str], dict[str, Any]] = {}
        self.network: list[dict[str, Any]] = []
        self.processes: list[dict[str, Any]] = []
        self._environment: dict[str, str] = {}
        self._state: dict[str, Any] = {}
        self.environment_changes: dict[str, dict[str, Any]] = {}
        self.state_changes: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        sys.addaudithook(self._handle_event)

    def enter_phase(self, phase: str) -> None:
        """Begin a phase, and record what the previous phase changed in the process."""
        self._record_changes()
        self.phase = phase
        self._environment, self._state = dict(os.environ), read_process_state()

    def _record_changes(self) -> None:
        if self.phase == "engine":
            return
        now = dict(os.environ)
        changed = {
            name: [self._environment.get(name), now.get(name)]
            for name in self._environment.keys() | now.keys()
            if self._environment.get(name) != now.get(name)
        }
        if changed:
            self.environment_changes.setdefault(self.phase, {}).update(changed)
        state = read_process_state()
        differs = {
            key: [_format_value(self._state.get(key)), _format_value(value)]
            for key, value in state.items()
            if value != self._state.get(key)
        }
        if differs:
            self.state_changes.setdefault(self.phase, {}).update(differs)

    def collect_facts(self) -> dict[str, Any]:
        """Return everything recorded so far, as facts of an observation."""
        return {
            "files_outside": list(self.files.values()),
            "network": self.network,
            "processes_started": self.processes,
            "environment_changes": self.environment_changes,
            "state_changes": self.state_changes,
            "disk_struck": self.disk_struck,
        }

    def _handle_event(self, event: str, args: tuple[Any, ...]) -> None:
        if self.phase == "engine" or self._busy:
            return
        if event == "open":
            if len(args) > 2 and isinstance(args[2], int) and args[2] & _WRITING:
                self._call_safely(self._record_files, event, (args[0],))
                self._refuse_when_full(args[0])
        elif event in _CHANGING:
            self._call_safely(self._record_files, event, tuple(args[at] for at in _CHANGING[event] if at < len(args)))
        elif event in _PROCESSES:
            self._call_safely(self._record_process, event, args)
        elif event in ("socket.connect", "socket.bind", "socket.sendto"):
            self._call_safely(self._record_socket, event, args)

    def _refuse_when_full(self, path: Any) -> None:
        """Raise ENOSPC when the plugin's own code opens a file for writing, as on a full disk."""
        if not self.disk_is_full or self.phase != "run" or isinstance(path, int):
            return
        temporary = os.path.realpath(os.fsdecode(path)).startswith(f"{self._folder}tmp{os.sep}")
        if self._find_origin()["where"] and not temporary:  # tempfile tests a folder, and then tries the next one
            self.disk_struck += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def _call_safely(self, handler: Callable[[str, tuple[Any, ...]], None], event: str, args: tuple[Any, ...]) -> None:
        """Call a handler; none of its exceptions reaches the plugin."""
        self._busy = True
        try:
            if os.getpid() == self._pid:
                handler(event, args)
        except Exception:  # noqa: BLE001, S110  # an odd argument of an event is not the plugin's fault
            pass
        finally:
            self._busy = False

    def _record_files(self, event: str, paths: tuple[Any, ...]) -> None:
        for name in paths:
            if isinstance(name, int) or name in (None, ":memory:", b":memory:"):
                continue
            path = os.path.realpath(os.fsdecode(name))
            if path.startswith((self._folder, *_IGNORED)) or path + os.sep == self._folder:
                continue
            if (path, self.phase) not in self.files and len(self.files) < _MOST:
                self.files[path, self.phase] = {"path": path, "event": event, **self._find_origin()}

    def _record_process(self, event: str, args: tuple[Any, ...]) -> None:
        if len(self.processes) < _MOST:
            self.processes.append({"event": event, "what": repr(args)[:300], **self._find_origin()})

    def _record_socket(self, event: str, args: tuple[Any, ...]) -> None:
        address = args[1] if len(args) > 1 else None
        if isinstance(address, tuple):
            sandboxes = str(address[0])
            if event != "socket.bind" and (sandboxes.startswith("127.") or sandboxes in ("::1", "localhost", "")):
                return
        elif event != "socket.bind" or not address:
            return  # a Unix socket
        if len(self.network) < _MOST:
            self.network.append({"event": event, "address": repr(address)[:200], **self._find_origin()})

    def _find_origin(self) -> dict[str, Any]:
        """Return the phase, and the plugin's own line that led to the event."""
        inside = self._inside()
        frame: FrameType | None = sys._getframe(3)  # noqa: SLF001  # the fastest way, and this runs at every event
        while frame is not None:
            file = frame.f_code.co_filename
            if inside and (file == inside or file.startswith(inside + os.sep)):
                return {"phase": self.phase, "where": [file, frame.f_lineno]}
            frame = frame.f_back
        return {"phase": self.phase, "where": None}


def read_process_state() -> dict[str, Any]:
    """Return settings of the whole process that a plugin must not change."""
    handlers = {f"signal {number.name}": signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {
        **handlers,
        "working directory": _read_cwd(),
        "temporary folder": tempfile.tempdir,
        "recursion limit": sys.getrecursionlimit(),
        "excepthook": sys.excepthook,
        **_find_patchable(),
    }


_GUARDED: Mapping[str, tuple[str, ...]] = {
    "ray": ("init", "shutdown", "get", "put", "remote"),
    "ray.tune": ("report", "get_context", "get_checkpoint", "Tuner", "run"),
    "ray.tune.trainable.trainable_fn_utils": ("report",),
    "trialrun.job_run": ("JobRun", "EventEmitter"),
    "trialrun.events": ("require_finite", "metric_event", "stamp_event"),
    "builtins": ("open", "print", "__import__"),
    "time": ("time", "sleep", "perf_counter"),
    "json": ("dumps", "loads"),
    "random": ("seed", "random"),
}


def _find_patchable() -> dict[str, Any]:
    """Return functions of imported modules that other code relies on."""
    functions: dict[str, Any] = {}
    for name, attributes in _GUARDED.items():
        module = sys.modules.get(name)
        space = {} if module is None else vars(module)
        functions |= {f"{name}.{attribute}": space[attribute] for attribute in attributes if attribute in space}
    return functions


def _read_cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return "gone"


def _format_value(value: Any) -> str:
    return repr(value)[:200]
