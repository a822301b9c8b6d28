"""The fork server: a warm process, with the engine imported and no plugin, that is forked for every run.

Its parent sends lines of JSON over a socket. Each run has a supervisor, which is forked from the server and forks the
child. Both lead their own session, so that a plugin which signals its process group reaches only itself. On Linux the
supervisor adopts processes that the child leaves behind, reports them, and kills them.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

__all__ = ["main"]

_SUBREAPER, _PDEATHSIG = 36, 1  # of prctl(2)
_GRACE_S = 0.3  # for helper processes that end by themselves after the child
_STACK_DUMP_S = 0.2  # before the time limit, a run writes down its stacks
_BIGGEST_FILE = 1 << 30
_FIRST_OWN_FD, _LAST_FD = 3, 1024


def main(fd: int) -> None:
    """Serve runs until the other end of the socket is closed."""
    with socket.socket(fileno=fd) as line:
        _ForkServer(line).serve()


class _ForkServer:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._supervisors: dict[int, tuple[int, int]] = {}  # pid -> (id of the run, pipe that its supervisor writes to)
        self._buffer = b""

    def serve(self) -> None:
        _prctl(_SUBREAPER, 1)
        waker, awaken = os.pipe()
        os.set_blocking(awaken, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent process decides
        signal.set_wakeup_fd(awaken, warn_on_full_buffer=False)
        hello = self._read_hello()
        sys.path[:] = hello["path"]
        from trialrun.testing import child
        from trialrun.testing.preload import import_libraries

        if hello["ray"]:
            _import_ray()
        with tempfile.TemporaryDirectory() as folder:
            child.warm_up(Path(folder))
        unfit = import_libraries(hello["libraries"]) if hello["libraries"] else ""
        gc.collect()
        gc.freeze()
        self._send_message({"ready": os.getpid(), "unfit": unfit})
        while True:
            ready, _, _ = select.select([self._line.fileno(), waker], [], [])
            if waker in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(waker, 4096)
                self._report_exits()
            if self._line.fileno() in ready:
                data = self._line.recv(1 << 16)
                if not data:
                    break
                self._buffer += data
                while b"\n" in self._buffer:
                    text, _, self._buffer = self._buffer.partition(b"\n")
                    self._handle_order(json.loads(text), child.run_scenario)
        self._kill_all()

    def _read_hello(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            data = self._line.recv(1 << 16)
            if not data:
                sys.exit(0)
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\n")
        hello: dict[str, Any] = json.loads(text)
        return hello

    def _send_message(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self._line.sendall(json.dumps(message).encode() + b"\n")

    def _handle_order(self, order: dict[str, Any], run_scenario: Callable[..., None]) -> None:
        if "kill" in order:
            for pid, (number, _) in self._supervisors.items():
                if number == order["kill"]:
                    _kill_descendants(pid)
                    _kill(pid)
            return
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            os.close(reading)
            _supervise(order, writing, run_scenario)
        os.close(writing)
        self._supervisors[pid] = (order["id"], reading)

    def _report_exits(self) -> None:
        for pid, status in _reap_children():
            known = self._supervisors.pop(pid, None)
            if known is None:
                continue  # an orphan that the server adopted
            number, reading = known
            with os.fdopen(reading, "rb") as pipe:
                text = pipe.read()
            end: dict[str, Any] = json.loads(text) if text else {"exit_code": os.waitstatus_to_exitcode(status)}
            if not text:  # the supervisor itself was killed, and the server adopted its processes
                _kill_orphans(self._supervisors)
            self._send_message({"id": number, **end})

    def _kill_all(self) -> None:
        """Kill every process below the server, at the end or when the parent process is gone."""
        for pid in self._supervisors:
            _kill_descendants(pid)
            _kill(pid)
        _kill_orphans({})


def _supervise(order: dict[str, Any], writing: int, run_scenario: Callable[..., None]) -> None:
    """Start the child, wait for its end or its time limit, clear up, and report. Does not return."""
    os.setsid()
    _prctl(_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _run_child(order, run_scenario)
    code, timed_out = _wait_for_child(child, started + order["timeout"])
    seconds = time.monotonic() - started
    left = _list_leftovers(child)
    _kill_own_descendants()
    end = {"exit_code": code, "timed_out": timed_out, "processes_left": left, "seconds": seconds}
    os.write(writing, json.dumps(end).encode()[:60_000])
    os._exit(0)


def _wait_for_child(child: int, deadline: float) -> tuple[int | None, bool]:
    code: int | None = None
    while code is None:
        for pid, status in _reap_children():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
        left = deadline - time.monotonic()
        if code is None and left <= 0:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            _kill(child)
            return None, True
        if code is None:
            signal.sigtimedwait({signal.SIGCHLD}, min(left, 1.0))
    return code, False


def _list_leftovers(child: int) -> list[str]:
    """Return the command lines of processes that the child left running."""
    end = time.monotonic() + _GRACE_S
    while True:
        _reap_children()
        left = [pid for pid in _list_descendants(os.getpid()) if pid != child and not _is_zombie(pid)]
        if not left or time.monotonic() > end:
            return [_read_command(pid) for pid in left][:50]
        time.sleep(0.01)


def _kill_own_descendants() -> None:
    end = time.monotonic() + 5
    while (left := _list_descendants(os.getpid())) and time.monotonic() < end:
        for pid in left:
            _kill(pid)
        _reap_children()
        time.sleep(0.002)


def _run_child(order: dict[str, Any], run_scenario: Callable[..., None]) -> None:
    """Become the child, with its own session and folder and no inherited descriptors. Does not return."""
    code = 1
    try:
        os.setsid()
        _prctl(_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        folder = Path(order["folder"])
        _redirect_streams(folder)
        _prepare_process(folder)
        _enable_stack_dumps(folder, order["timeout"])
        from trialrun.testing.preload import renew_random_state
        from trialrun.testing.scenario import Scenario

        renew_random_state()
        run_scenario(Scenario.from_json(order["scenario"]), folder)
        code = 0
    except BaseException:  # noqa: BLE001  # none of the parent's handlers may run in the child
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect_streams(folder: Path) -> None:
    files = [os.open(os.devnull, os.O_RDONLY)]
    files += [os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for name in ("stdout", "stderr")]
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.closerange(_FIRST_OWN_FD, _LAST_FD)
    # new text streams: the inherited ones belong to the process that started the server
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _prepare_process(folder: Path) -> None:
    import resource

    (folder / "tmp").mkdir()
    (folder / "work").mkdir()
    os.chdir(folder / "work")
    os.environ["TMPDIR"] = str(folder / "tmp")
    tempfile.tempdir = None
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_BIGGEST_FILE, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _enable_stack_dumps(folder: Path, timeout: float) -> None:
    """Make Python write the stacks of all threads at a crash, and just before the time limit."""
    file = os.open(folder / "stuck", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    faulthandler.enable(file)
    faulthandler.dump_traceback_later(max(timeout - _STACK_DUMP_S, timeout / 2), file=file)


def _import_ray() -> None:
    with contextlib.suppress(ImportError):
        from trialrun.executors.ray_tune import executor as _executor  # noqa: F401


# processes


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _reap_children() -> Iterator[tuple[int, int]] | list[tuple[int, int]]:
    """Return pid and status of each child that has ended."""
    found = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        found.append((pid, status))
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _kill_descendants(pid: int) -> None:
    for child in _list_descendants(pid):
        _kill(child)


def _kill_orphans(supervisors: dict[int, Any]) -> None:
    """Kill the children that are not supervisors, and their descendants."""
    for child in psutil.Process().children():
        if child.pid not in supervisors:
            _kill_descendants(child.pid)
            _kill(child.pid)


def _list_descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _read_command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:200]
    except psutil.Error:
        return str(pid)


if __name__ == "__main__":
    main(int(sys.argv[1]))
