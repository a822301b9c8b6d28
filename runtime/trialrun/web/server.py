"""The HTTP server: on loopback, in one thread, with a random token."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import selectors
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from trialrun.recorder.access import Endpoint
from trialrun.recordings.library import Library
from trialrun_hookspecs.errors import TrialrunError, UsageError

if TYPE_CHECKING:
    from trialrun.recorder.recorder import Recorder

__all__ = ["LoopbackServer", "RecorderServer"]

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
BACKLOG = 2048


class LoopbackServer:
    """A server of the web UI. `url` ends in a slash and is known after `start()`.

    Port 0 takes a free port. Raises UsageError: `host` can be reached by other machines and `allow_remote` is false.
    With `on_demand` the first connection loads starlette and uvicorn: until then the server costs a port and a
    sleeping thread.
    """

    def __init__(
        self,
        library: Library,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        on_demand: bool = False,
        token: str | None,
    ) -> None:
        self.remote = not _is_loopback(host)
        if self.remote and not allow_remote:
            raise UsageError(
                "must be an address of this machine only",
                where="host",
                got=repr(host),
                fix="Use 127.0.0.1, or allow other machines to reach it (allow_remote).",
            )
        self.host = host
        self.port = port
        self.token = token or secrets.token_urlsafe(24)
        self.url = ""
        self._library = library
        self._on_demand = on_demand
        self._stopping = False
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None

    @property
    def page_url(self) -> str:
        """The address of the web UI with the token, to be opened in a browser."""
        return f"{self.url}ui/?token={self.token}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the server listens. Raises UsageError when the address is taken."""
        listener = _bind_socket(self.host, self.port)
        self.port = listener.getsockname()[1]
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"http://{name}:{self.port}/"
        ready = threading.Event()
        self._stopping = False
        sleeper, self._waker = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run_server, args=(listener, sleeper, ready), name="trialrun-recorder", daemon=True
        )
        self._thread.start()
        if self._on_demand:
            return
        if not ready.wait(START_TIMEOUT_S) or self._server is None or not self._server.started:
            self.stop()
            raise TrialrunError("did not start", where=f"recorder at {self.url}", fix="Read the log above.")

    def stop(self) -> None:
        """Finish the calls in progress, then close. Safe to call twice."""
        if self._thread is None or self._waker is None:
            return
        self._stopping = True
        self._waker.close()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._thread = None
        self._server = None
        self._library.close()

    def _run_server(self, listener: socket.socket, sleeper: socket.socket, ready: threading.Event) -> None:
        try:
            if self._on_demand and not _wait_for_connection(listener, sleeper):
                return
            self._server = server = _create_server(self._build_app(), ready)
            server.should_exit = self._stopping  # stop() may have come while uvicorn was imported
            server.run(sockets=[listener])
        finally:
            listener.close()
            sleeper.close()
            ready.set()

    def _build_endpoint(self, host: str) -> Endpoint:
        names = {self.host, "127.0.0.1", "localhost", "[::1]", f"[{self.host}]"}
        hosts = None if self.remote else frozenset(f"{name}:{self.port}".lower() for name in names)
        known = hosts is not None and host.lower() in hosts
        return Endpoint(
            base_url=f"http://{host}/" if known or (self.remote and host) else self.url, token=self.token, hosts=hosts
        )

    def _build_app(self) -> Any:
        from trialrun.web.app import Page

        return Page(self._library, self._build_endpoint, lambda: self._stopping, self._build_fallback())

    def _build_fallback(self) -> Any:
        """Return the ASGI application for calls outside the web UI; None has no answers but a redirect from `/`."""
        return None


class RecorderServer(LoopbackServer):
    """A server of the recorder's API, for clients of the platform, and of the web UI."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        on_demand: bool = False,
    ) -> None:
        library = Library(recorder.path)
        super().__init__(
            library, host=host, port=port, allow_remote=allow_remote, on_demand=on_demand, token=recorder.token
        )
        self.recorder = recorder

    def _build_fallback(self) -> Any:
        from trialrun.web.recorder_app import RecorderApp

        return RecorderApp(lambda: self.recorder.api, self._build_endpoint)


def _create_server(app: Any, ready: threading.Event) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return Server(
        uvicorn.Config(
            app,
            access_log=False,
            http="h11",
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )


def _bind_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; with it, each answer takes 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        fix = "Use port 0, which takes a free port."
        raise UsageError("cannot listen here", where=f"{host}:{port}", got=str(error), fix=fix) from None
    return listener


def _wait_for_connection(listener: socket.socket, sleeper: socket.socket) -> bool:
    """Return True at the first connection, and False when the other end of `sleeper` closes before one comes."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sleeper, selectors.EVENT_READ)
        return all(key.fileobj is not sleeper for key, _ in selector.select())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
