"""The recorder as a mock of `requests`, without a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trialrun.recorder.access import Endpoint
from trialrun.recorder.faults import ReplyLost

if TYPE_CHECKING:
    import responses
    from requests import PreparedRequest

    from trialrun.recorder.recorder import Recorder

__all__ = ["mounted"]

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


@contextmanager
def mounted(recorder: Recorder, url: str = "http://trialrun.test/") -> Iterator[responses.RequestsMock]:
    """Let `recorder` answer what `requests` sends to `url`, and refuse other addresses, until the block ends.

    Yields the mock, to which a test can add answers of other services.
    """
    import requests
    import responses

    base = url.rstrip("/") + "/"
    endpoint = Endpoint(base_url=base, token=recorder.token)

    def answer_request(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        try:
            reply = recorder.handle(
                str(request.method),
                _request_path(request, base),
                (),
                dict(request.headers),
                _body_bytes(request.body),
                endpoint=endpoint,
            )
        except ReplyLost as lost:
            raise requests.ConnectionError(str(lost)) from None
        return reply.status, dict(reply.headers), reply.body

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in METHODS:
            mock.add_callback(method, re.compile(re.escape(base) + ".*", re.DOTALL), callback=answer_request)
        yield mock


def _request_path(request: PreparedRequest, base: str) -> str:
    from urllib.parse import unquote

    path, separator, query = str(request.url).removeprefix(base).partition("?")
    return unquote(path) + separator + query


def _body_bytes(body: Any) -> bytes:
    """Return the bytes that would be sent: requests also takes text, files and generators as bodies."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)
