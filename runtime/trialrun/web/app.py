"""The page's door: its files, its API and its stream over HTTP, all below one prefix."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialrun.recorder.access import Endpoint
from trialrun.recorder.replies import CallRefused, Reply, json_reply, refuse
from trialrun.recordings.library import Library
from trialrun.web.api import handle_api_request
from trialrun.web.session import HEADERS, PREFIX, build_cookie, check_read, check_same_site, is_authenticated, is_token
from trialrun.web.stream import Follower, stream_events
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["PREFIX", "Page"]

MOST_STREAMS = 32
STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STREAM = re.compile(r"api/([0-9a-f]{8})/jobs/([0-9]{1,18})/stream")
_LOCKED_OUT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>trialrun</title><link rel="stylesheet" href="/ui/style.css"></head>
<body class="plain"><main><h1>This page needs its token</h1>
<p>Open the address that <code>trialrun</code> printed in the terminal: it ends in <code>?token=\xe2\x80\xa6</code>.</p>
<p>You came from there, through a link on another site? <a href="/ui/">Go on</a>.</p></main></body></html>
"""


class Page:
    """Answers every call below PREFIX. `door_of` says from a Host header how the call came in."""

    def __init__(self, library: Library, door_of: Callable[[str], Endpoint], closing: Callable[[], bool]) -> None:
        self._library = library
        self._door_of = door_of
        self._closing = closing
        self._streams = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request

        request = Request(scope, receive)
        found = _STREAM.fullmatch(scope["path"].removeprefix(f"{PREFIX}/"))
        if found is not None:
            await self._send_events(request, found[1], int(found[2]), send)
            return
        response = await run_in_threadpool(self._build_response, request)
        await response(scope, receive, send)

    def close(self) -> None:
        self._library.close()

    def _build_response(self, request: Request) -> Response:
        from starlette.responses import FileResponse, Response

        reply = self._handle_request(request)
        headers = {"Cache-Control": "no-store", **reply.headers, **HEADERS}
        if reply.file is not None:
            return FileResponse(reply.file, reply.status, headers)
        return Response(b"" if request.method == "HEAD" else reply.content, reply.status, headers)

    def _handle_request(self, request: Request) -> Reply:
        headers = dict(request.headers)
        door = self._door_of(headers.get("host", ""))
        path = request.scope["path"].removeprefix(PREFIX)
        try:
            check_read(door, request.method, headers)
            if path in ("", "/"):
                return self._serve_index(request, door, headers, path)
            if path.startswith("/api/"):
                self._check_access(door, headers)
                return handle_api_request(self._library, path.removeprefix("/api/"), request.query_params.multi_items())
            return _serve_static(path.removeprefix("/"), headers)
        except CallRefused as refused:
            return refused.reply
        except (sqlite3.Error, UsageError) as error:  # while it is made, moved or damaged
            return json_reply(503, {"detail": f"recording: cannot be read now ({error})."})

    def _check_access(self, door: Endpoint, headers: Mapping[str, str]) -> None:
        check_same_site(headers)
        if not is_authenticated(door, headers):
            raise refuse(401, "cookie: open the address that trialrun printed.")

    def _serve_index(self, request: Request, door: Endpoint, headers: Mapping[str, str], path: str) -> Reply:
        token = request.query_params.get("token")
        if token is not None and is_token(door, token):
            return Reply(status=303, headers={"Location": f"{PREFIX}/", "Set-Cookie": build_cookie(door)})
        if path == "":
            return Reply(status=303, headers={"Location": f"{PREFIX}/"})
        if not is_authenticated(door, headers):
            return Reply(status=401, headers={"Content-Type": "text/html; charset=utf-8"}, content=_LOCKED_OUT)
        return _serve_static("index.html", headers)

    async def _send_events(self, request: Request, key: str, job: int, send: Any) -> None:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response, StreamingResponse

        try:
            follower = await run_in_threadpool(self._create_follower, request, key, job)
        except CallRefused as refused:
            reply = refused.reply
            response = Response(reply.content, reply.status, {**reply.headers, **HEADERS})
            await response(request.scope, request.receive, send)
            return
        self._streams += 1
        try:
            headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            events = StreamingResponse(
                stream_events(follower, self._closing), 200, headers, media_type="text/event-stream"
            )
            await events(request.scope, request.receive, send)
        finally:
            self._streams -= 1

    def _create_follower(self, request: Request, key: str, job: int) -> Follower:
        headers = dict(request.headers)
        door = self._door_of(headers.get("host", ""))
        check_read(door, request.method, headers)
        self._check_access(door, headers)
        if self._streams >= MOST_STREAMS:
            raise refuse(503, f"streams: {MOST_STREAMS} are open. Close other windows of this page.")
        try:
            reading = self._library.open_recording(key)
        except (sqlite3.Error, UsageError) as error:
            raise refuse(503, f"recording: cannot be read now ({error}).") from None
        if reading is None:
            raise refuse(404, f"recording {key}: there is none.")
        return Follower(reading, job, headers.get("last-event-id") or request.query_params.get("after", ""))


def _serve_static(name: str, headers: Mapping[str, str]) -> Reply:
    """One of the page's own files: nothing secret is in them."""
    path = STATIC / name
    if not re.fullmatch(r"(?:[a-z]+/)?[a-z]+\.(?:css|html|js|svg)", name) or not path.is_file():
        raise refuse(404, f"path: there is no {name[:200]!r}.")
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    facts = {"Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "Cache-Control": "no-cache", "ETag": tag}
    if headers.get("if-none-match") == tag:
        return Reply(status=304, headers=facts)
    return Reply(status=200, headers=facts, content=content)
