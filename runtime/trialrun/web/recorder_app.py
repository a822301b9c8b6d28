"""The recorder's API as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from trialrun.recorder.access import Endpoint
from trialrun.recorder.api import Api
from trialrun.recorder.faults import ReplyLost

__all__ = ["RecorderApp"]

MAX_DRAINED_BYTES = 256 * 1024 * 1024


class RecorderApp:
    """Passes each call to the recorder's API, which does its own routing because it also works without ASGI."""

    def __init__(self, find_api: Callable[[], Api], find_endpoint: Callable[[str], Endpoint]) -> None:
        self._find_api = find_api
        self._find_endpoint = find_endpoint

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await _read_body(request, self._find_api().max_body)
        try:
            response = await run_in_threadpool(self._build_response, request, body)
        except ReplyLost as lost:
            await _drop_connection(lost, receive, send)
            return
        await response(scope, receive, send)

    def _build_response(self, request: Request, body: bytes | int) -> Response:
        if isinstance(body, int):
            reply = self._find_api().refuse_body(body)
            return Response(reply.content, reply.status, {**reply.headers, "Connection": "close"})
        reply = self._find_api().handle(
            request.method,
            request.scope["path"],
            request.query_params.multi_items(),
            dict(request.headers),
            body,
            endpoint=self._find_endpoint(request.headers.get("host", "")),
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
