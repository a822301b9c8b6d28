"""The HTTP server: on loopback, in one thread, with a random token."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from trialrun.recorder.access import Endpoint
from trialrun.recorder.faults import ReplyLost
from trialrun.recordings.library import Library
from trialrun.web.app import Page
from trialrun.web.session import PREFIX
from trialrun_hookspecs.errors import TrialrunError, UsageError

if TYPE_CHECKING:
    from trialrun.recorder.recorder import Recorder

__all__ = ["LoopbackServer", "RecorderServer"]

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
BACKLOG = 2048
MAX_DRAINED_BYTES = 256 * 1024 * 1024


class LoopbackServer:
    """A server of the web UI. `url` ends in a slash and is known after `start()`.

    Port 0 takes a free port. Raises UsageError: `host` can be reached by other machines and `allow_remote` is false.
    """

    def __init__(
        self, library: Library, *, host: str = "127.0.0.1", port: int = 0, allow_remote: bool = False, token: str | None
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
        self._page = Page(library, self._build_endpoint, lambda: bool(self._server.should_exit))
        self._server: Any = None
        self._thread: threading.Thread | None = None

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
        self._server = _create_server(self._build_app(), ready)
        self._thread = threading.Thread(
            target=self._run_server, args=(listener, ready), name="trialrun-recorder", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_TIMEOUT_S) or not self._server.started:
            self.stop()
            raise TrialrunError("did not start", where=f"recorder at {self.url}", fix="Read the log above.")

    def stop(self) -> None:
        """Finish the calls in progress, then close. Safe to call twice."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._thread = None
        self._page.close()

    def _run_server(self, listener: socket.socket, ready: threading.Event) -> None:
        try:
            self._server.run(sockets=[listener])
        finally:
            listener.close()
            ready.set()

    def _build_endpoint(self, host: str) -> Endpoint:
        names = {self.host, "127.0.0.1", "localhost", "[::1]", f"[{self.host}]"}
        hosts = None if self.remote else frozenset(f"{name}:{self.port}".lower() for name in names)
        known = hosts is not None and host.lower() in hosts
        return Endpoint(
            base_url=f"http://{host}/" if known or (self.remote and host) else self.url, token=self.token, hosts=hosts
        )

    def _build_app(self) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            is_page = f"{scope['path']}/".startswith(f"{PREFIX}/")
            await (self._page if is_page else self._handle_request)(scope, receive, send)

        return app

    async def _handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a call outside the web UI: redirect from `/` to it."""
        response = RedirectResponse(f"{PREFIX}/", 303) if scope["path"] == "/" else Response(status_code=404)
        await response(scope, receive, send)


class RecorderServer(LoopbackServer):
    """A server of the recorder's API, for clients of the platform, and of the web UI."""

    def __init__(
        self, recorder: Recorder, *, host: str = "127.0.0.1", port: int = 0, allow_remote: bool = False
    ) -> None:
        library = Library(recorder.path)
        super().__init__(library, host=host, port=port, allow_remote=allow_remote, token=recorder.token)
        self.recorder = recorder

    async def _handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await _read_body(request, self.recorder.api.max_body)
        try:
            response = await run_in_threadpool(self._build_response, request, body)
        except ReplyLost as lost:
            await _drop_connection(lost, receive, send)
            return
        await response(scope, receive, send)

    def _build_response(self, request: Request, body: bytes | int) -> Response:
        if isinstance(body, int):
            reply = self.recorder.api.refuse_body(body)
            return Response(reply.content, reply.status, {**reply.headers, "Connection": "close"})
        reply = self.recorder.api.handle(
            request.method,
            request.scope["path"],
            request.query_params.multi_items(),
            dict(request.headers),
            body,
            endpoint=self._build_endpoint(request.headers.get("host", "")),
        )
        headers = {**reply.headers, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        if reply.file is not None:
            return FileResponse(reply.file, reply.status, headers)
        return Response(reply.content, reply.status, headers)


async def _read_body(request: Request, limit: int) -> bytes | int:
    """Return the body, or its size when it is too large.

    Up to a limit a body that is too large is still received and dropped: a client that is disconnected while it sends
    never reads the reply.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit + MAX_DRAINED_BYTES:
                return size
            if size > limit:
                chunks.clear()
            else:
                chunks.append(chunk)
    except ClientDisconnect:
        return size
    return b"".join(chunks) if size <= limit else size


async def _drop_connection(lost: ReplyLost, receive: Any, send: Any) -> None:
    """Close the connection for a fault switch. `send` is a method of uvicorn's cycle, which holds the transport."""
    if lost.half is not None:
        content = lost.half.body
        headers = [(b"content-length", str(len(content) + 1).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": lost.half.status, "headers": headers})
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
    send.__self__.transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
