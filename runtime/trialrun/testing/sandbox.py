"""The stage: plays scenarios in child processes that nothing of the plugin's can leave."""

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
_PATIENCE_S = 15.0  # beyond a scene's own time: to kill and clear up, on a machine that is busy


class SandboxBroken(RuntimeError):
    """The process that scenes are forked from does not start: a fault of the installation, not of a plugin."""


class Sandbox:
    """Plays scenes, several at once when asked from several threads. Closing it ends every process of its own.

    `folder` holds a folder per scene; None makes a temporary one, which `close()` removes. `ray`: import Ray once,
    before the scenes, which then need not; `libraries`: modules to import in the same way. `environment` is added to
    that of this process.
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
        self._zygote: _ForkServerClient | None = None
        self._closed = False
        self._alone = threading.Lock()

    def get_unfit_reason(self) -> str:
        """Start now. Why scenes would not be what they are without its libraries imported; "" when they would."""
        return self._ensure_server().unfit

    def run(self, scenario: Scenario) -> Observation:
        """The scene. Whatever the plugin does, this returns, soon after the scenario's time at the latest."""
        number = next(self._numbers)
        folder = (self.folder / f"{number:04d}-{scenario.kind}").absolute()
        folder.mkdir()
        text = scenario.to_json()
        (folder / "scenario.json").write_text(text, encoding="utf-8")
        order = {"id": number, "scenario": text, "folder": str(folder), "timeout": scenario.timeout_s}
        end = self._execute_order(order)
        if end.get("lost"):  # another scene may have taken it along: once more, with nobody beside it
            with self._alone:
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
        """Start the zygote now."""
        self._ensure_server()

    def close(self) -> None:
        """Safe to call twice."""
        self._closed = True
        with self._lock:
            zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.close()
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
                raise SandboxBroken("the stage is closed")
            if self._zygote is None or self._zygote.is_gone:
                self._zygote = _ForkServerClient(self._hello, self._environment)
            return self._zygote

    def _execute_order(self, order: dict[str, Any]) -> dict[str, Any]:
        zygote = self._ensure_server()
        try:
            return zygote.submit(order).result(order["timeout"] + _PATIENCE_S)
        except TimeoutError:  # whoever should have ended it does not answer: begin with a new one
            zygote.close()
            return {"timed_out": True}


class _ForkServerClient:
    """The parent's end of the line."""

    def __init__(self, hello: Mapping[str, Any], added: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **added}
        command = [sys.executable, "-P", "-m", "trialrun.testing.fork_server", str(theirs.fileno())]
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109  # import paths are text
        environment["PYTHONPATH"] = os.pathsep.join(path)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
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
        self._reader = threading.Thread(target=self._read_messages, name="trialrun-stage", daemon=True)
        self._reader.start()
        self._send_message({"path": path, **hello})
        try:
            self.unfit: str = self._ready.result(_START_S)["unfit"]
        except Exception as error:
            self.close()
            raise SandboxBroken(f"the process for scenes did not start: {self._read_log()}") from error

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
        with contextlib.suppress(OSError), self._lock:  # the reader notices
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
            self._ready.set_exception(SandboxBroken("it ended"))
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
