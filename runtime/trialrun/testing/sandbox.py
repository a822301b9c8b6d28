"""The sandbox: runs scenarios in child processes that a plugin cannot escape from."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trialrun.testing.observation import Observation
from trialrun.testing.scenario import Fault, Kind, Scenario

__all__ = ["Fault", "Kind", "Observation", "Sandbox", "SandboxBroken", "Scenario"]

_START_S = 60.0
_PATIENCE_S = 15.0  # beyond the time limit of a run: killing and clearing up take time on a busy machine


class SandboxBroken(RuntimeError):
    """The fork server does not start: a fault of the installation, not of the plugin."""


class Sandbox:
    """Runs scenarios, several at once when called from several threads. `close()` ends all of its processes.

    `folder` holds a folder per run; None makes a temporary one, which `close()` removes. `ray` imports Ray once, in the
    fork server, and `libraries` names modules to import there too. `environment` is added to that of this process.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        ray: bool = False,
        libraries: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="trialrun-check-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._hello = {"ray": ray, "libraries": list(libraries)}
        self._environment = dict(environment or {})
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._server: _ForkServerClient | None = None
        self._closed = False
        self._retry_lock = threading.Lock()

    def get_unfit_reason(self) -> str:
        """Start now. Return why its preloaded libraries could change the behaviour of a run, or ""."""
        return self._ensure_server().unfit

    def run(self, scenario: Scenario) -> Observation:
        """Run a scenario. Returns soon after the scenario's time limit at the latest, whatever the plugin does."""
        number = next(self._numbers)
        folder = (self.folder / f"{number:04d}-{scenario.kind}").absolute()
        folder.mkdir()
        text = scenario.to_json()
        (folder / "scenario.json").write_text(text, encoding="utf-8")
        order = {"id": number, "scenario": text, "folder": str(folder), "timeout": scenario.timeout_s}
        end = self._execute_order(order)
        if end.get("lost"):  # another run may have killed the server: try once more, alone
            with self._retry_lock:
                shutil.rmtree(folder)
                folder.mkdir()
                end = self._execute_order(order)
        return Observation.from_folder(
            scenario,
            folder,
            seconds=end.get("seconds", scenario.timeout_s if end.get("timed_out") else 0.0),
            timed_out=bool(end.get("timed_out")),
            exit_code=end.get("exit_code"),
            processes_left=end.get("processes_left", ()),
        )

    def start(self) -> None:
        """Start the fork server now. Raises SandboxBroken when it does not start."""
        self._ensure_server()

    def close(self) -> None:
        """End all processes and remove a temporary folder. Safe to call twice."""
        self._closed = True
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ensure_server(self) -> _ForkServerClient:
        with self._lock:
            if self._closed:
                raise SandboxBroken("the sandbox is closed; make a new one")
            if self._server is None or self._server.is_gone:
                self._server = _ForkServerClient(self._hello, self._environment)
            return self._server

    def _execute_order(self, order: dict[str, Any]) -> dict[str, Any]:
        server = self._ensure_server()
        try:
            return server.submit(order).result(order["timeout"] + _PATIENCE_S)
        except TimeoutError:  # the supervisor does not answer: the next run starts a new server
            server.close()
            return {"timed_out": True}


class _ForkServerClient:
    """The parent's side of the connection to a fork server."""

    def __init__(self, hello: Mapping[str, Any], added: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **added}
        command = [sys.executable, "-P", "-m", "trialrun.testing.fork_server", str(theirs.fileno())]
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109  # import paths are text
        environment["PYTHONPATH"] = os.pathsep.join(path)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._process = subprocess.Popen(  # noqa: S603
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        self._line = ours
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._ready: Future[dict[str, Any]] = Future()
        self.is_gone = False
        self._reader = threading.Thread(target=self._read_messages, name="trialrun-sandbox", daemon=True)
        self._reader.start()
        self._send_message({"path": path, **hello})
        try:
            self.unfit: str = self._ready.result(_START_S)["unfit"]
        except Exception as error:
            self.close()
            raise SandboxBroken(f"the fork server did not start: {self._read_log()}") from error

    def submit(self, order: dict[str, Any]) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self.is_gone:
                future.set_result({"lost": True})
                return future
            self._waiting[order["id"]] = future
        self._send_message(order)
        return future

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
        self._line.close()
        self._log.close()

    def _send_message(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), self._lock:  # the reader thread handles a closed connection
            self._line.sendall(json.dumps(message).encode() + b"\n")

    def _read_log(self) -> str:
        with contextlib.suppress(ValueError, OSError):
            self._log.seek(0)
            return self._log.read().decode(errors="replace")[-2000:]
        return "nothing"

    def _read_messages(self) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := self._line.recv(1 << 16):
                buffer += data
                while b"\n" in buffer:
                    text, _, buffer = buffer.partition(b"\n")
                    self._handle_message(json.loads(text))
        with self._lock:
            self.is_gone = True
            waiting, self._waiting = self._waiting, {}
        if not self._ready.done():
            self._ready.set_exception(SandboxBroken("the fork server ended"))
        for future in waiting.values():
            future.set_result({"lost": True})

    def _handle_message(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready.set_result(message)
            return
        with self._lock:
            future = self._waiting.pop(message.pop("id"), None)
        if future is not None:
            future.set_result(message)
