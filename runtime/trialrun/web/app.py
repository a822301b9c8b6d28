"""The web UI as an ASGI application: its files, its API and its streams, all below one prefix."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from trialrun.recorder.access import Endpoint
from trialrun.recorder.replies import CallRefused, refuse
from trialrun.recordings.library import Library
from trialrun.web import STATIC
from trialrun.web.api import ROUTES, PageRequest, build_response
from trialrun.web.session import HEADERS, PREFIX, build_cookie, check_read, check_same_site, is_authenticated, is_token
from trialrun.web.stream import Follower, stream_events
from trialrun_hookspecs.errors import UsageError

__all__ = ["PREFIX", "Page"]

MOST_STREAMS = 32
LONGEST_PATH = 2_000
_FILE = re.compile(rf"{PREFIX}/(?:[a-z]+/)?[a-z]+\.(?:css|html|js|svg)")
_LOCKED_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>trialrun</title><link rel="stylesheet" href="/ui/style.css"></head>
<body class="plain"><main><h1>This page needs its token</h1>
<p>Open the address that <code>trialrun</code> printed in the terminal: it ends in <code>?token=…</code>.</p>
<p>Did a link on another site bring you back here? <a href="/ui/">Continue</a>.</p></main></body></html>
"""


class Page:
    """Answers every call below PREFIX, and leaves others to `fallback`; without one, `/` redirects to the web UI.

    `find_endpoint` returns the endpoint of a call by its Host header.
    """

    def __init__(
        self,
        library: Library,
        find_endpoint: Callable[[str], Endpoint],
        is_closing: Callable[[], bool],
        fallback: Any = None,
    ) -> None:
        self._fallback = fallback or Starlette(routes=[Route("/", RedirectResponse(f"{PREFIX}/", 303))])
        self._library = library
        self._find_endpoint = find_endpoint
        self._is_closing = is_closing
        self._files = _PageFiles(directory=STATIC)
        self.streams = 0
        ui = [
            Route("/", self._show_index),
            Route("/api/{key}/jobs/{job:int}/stream", self._open_stream),
            Mount("/api", routes=[Route(path, partial(self._answer, show)) for path, show in ROUTES]),
            Mount("/", self._files),
        ]
        self._app = Starlette(
            routes=[Route(PREFIX, self._show_index), Mount(PREFIX, routes=ui)],
            exception_handlers={
                CallRefused: lambda _, refused: build_response(refused.reply),
                HTTPException: _explain_http_error,
                OverflowError: lambda _, error: build_response(refuse(404, f"path: {error}.").reply),
                sqlite3.Error: _explain_unreadable,
                UsageError: _explain_unreadable,
            },
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._fallback(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.update(HEADERS)
            await send(message)

        app: Any = self._app
        try:
            self._check_access(Request(scope))
        except CallRefused as refused:
            app = build_response(refused.reply)
        await app(scope, receive, send_guarded)

    def _check_access(self, request: Request) -> None:
        endpoint = self._find_endpoint(request.headers.get("host", ""))
        check_read(endpoint, request.method, request.headers)
        if len(request.scope["path"]) > LONGEST_PATH:
            raise refuse(414, f"path: holds at most {LONGEST_PATH} characters.")
        if request.scope["path"].startswith(f"{PREFIX}/api/"):
            check_same_site(request.headers)
            if not is_authenticated(endpoint, request.headers):
                raise refuse(401, "cookie: missing or wrong. Open the address that trialrun printed.")

    async def _show_index(self, request: Request) -> Response:
        endpoint = self._find_endpoint(request.headers.get("host", ""))
        token = request.query_params.get("token")
        if token is not None and is_token(endpoint, token):
            return RedirectResponse(f"{PREFIX}/", 303, {"Set-Cookie": build_cookie(endpoint)})
        if request.scope["path"] == PREFIX:
            return RedirectResponse(f"{PREFIX}/", 303)
        if not is_authenticated(endpoint, request.headers):
            return Response(_LOCKED_PAGE, 401, media_type="text/html")
        return await self._files.get_response("index.html", request.scope)

    async def _answer(self, show: Callable[..., Any], request: Request) -> Response:
        asked = PageRequest(library=self._library, params=request.query_params.multi_items())
        return build_response(await run_in_threadpool(show, asked, *request.path_params.values()))

    async def _open_stream(self, request: Request) -> Response:
        if self.streams >= MOST_STREAMS:
            raise refuse(503, f"streams: {MOST_STREAMS} are open. Close other windows of this page.")
        asked = PageRequest(library=self._library, params=request.query_params.multi_items())
        recording = await run_in_threadpool(asked.open_recording, request.path_params["key"])
        last_id = request.headers.get("last-event-id") or asked.first_param("after")
        follower = await run_in_threadpool(Follower, recording, request.path_params["job"], last_id)
        return _EventStream(self, stream_events(follower, self._is_closing))


class _EventStream(StreamingResponse):
    """Server-sent events; the page counts the stream while it is open, however it ends."""

    def __init__(self, page: Page, events: Any) -> None:
        super().__init__(events, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
        self._page = page

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._page.streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._page.streams -= 1


class _PageFiles(StaticFiles):
    """The files of the UI, by their plain names only; a browser asks each time whether they changed."""

    def get_path(self, scope: Any) -> str:
        if not _FILE.fullmatch(scope["path"]):
            raise HTTPException(404)
        return super().get_path(scope)

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _explain_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return build_response(refuse(status, f"path: there is no {request.scope['path'][:200]!r}.").reply)


def _explain_unreadable(_: Request, error: Exception) -> Response:
    """Answer while a recording is being created or moved, or is damaged."""
    return build_response(refuse(503, f"recording: cannot be read now ({error}). Try again.").reply)
