"""The recorder's HTTP server: loopback, one thread, a token drawn at start."""

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
from trialrun.recorder.faults import ReplyLost
from trialrun.web import Library, Page
from trialrun.web.session import PREFIX
from trialrun_hookspecs.errors import TrialrunError, UsageError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from trialrun.recorder.recorder import Recorder

__all__ = ["LoopbackServer", "RecorderServer"]

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
BACKLOG = 2048
MAX_DRAINED_BYTES = 256 * 1024 * 1024


class LoopbackServer:
    """`start()` returns when it listens. `url` ends in a slash; both it and `token` are known from then on.

    Port 0 takes a free one. A host that other machines can reach is refused unless `allow_remote`. With `on_demand`,
    the first connection starts uvicorn: until then the server costs a port and a sleeping thread.
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
                "the recorder listens on this machine only",
                where="host",
                got=repr(host),
                fix="Use 127.0.0.1, or say that remote machines may reach it (allow_remote).",
            )
        self.host = host
        self.port = port
        self.token = token or secrets.token_urlsafe(24)
        self.url = ""
        self._page = Page(library, self._build_endpoint, lambda: bool(self._server.should_exit))
        self._on_demand = on_demand
        self._stopping = False
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None

    @property
    def page_url(self) -> str:
        """The address of the page, with the token: to be opened in a browser."""
        return f"{self.url}ui/?token={self.token}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
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
            raise TrialrunError("did not start", where=f"recorder at {self.url}", fix="See the log above.")

    def stop(self) -> None:
        """Answers what is being served, then closes. Safe to call twice."""
        if self._thread is None or self._waker is None:
            return
        self._stopping = True
        self._waker.close()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._thread = None
        self._server = None
        self._page.close()

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
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            inside = scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/")
            await (self._page if inside else self._handle_request)(scope, receive, send)

        return app

    async def _handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        """What is not the page's: from here, the way to it."""
        from starlette.responses import Response

        to_page = scope["path"] == "/"
        response = (
            Response(status_code=303, headers={"Location": f"{PREFIX}/"}) if to_page else Response(status_code=404)
        )
        await response(scope, receive, send)


class RecorderServer(LoopbackServer):
    """The recorder's API for clients of the platform, and its page for people."""

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

    async def _handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request

        request = Request(scope, receive)
        body = await _read_body(request, self.recorder.api.max_body)
        try:
            response = await run_in_threadpool(self._build_response, request, body)
        except ReplyLost as lost:
            await _drop_connection(lost, receive, send)
            return
        await response(scope, receive, send)

    def _build_response(self, request: Request, body: bytes | int) -> Response:
        from starlette.responses import FileResponse, Response

        door = self._build_endpoint(request.headers.get("host", ""))
        if isinstance(body, int):
            reply = self.recorder.api.refuse_body(body)
            return Response(reply.content, reply.status, {**reply.headers, "Connection": "close"})
        reply = self.recorder.api.handle(
            request.method,
            request.scope["path"],
            request.query_params.multi_items(),
            dict(request.headers),
            body,
            door=door,
        )
        headers = {**reply.headers, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        if reply.file is not None:
            return FileResponse(reply.file, reply.status, headers)
        return Response(reply.content, reply.status, headers)


async def _read_body(request: Request, limit: int) -> bytes | int:
    """The body, or its size when that is too large: then it is thrown away as it comes.

    Up to a limit it is still received, since a client that is cut off while it sends never sees the reply.
    """
    from starlette.requests import ClientDisconnect

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
    """Close the connection, as a fault switch wants it. `send` belongs to uvicorn's cycle, which has the transport."""
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
        fix = "Use port 0, which takes a free one."
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
