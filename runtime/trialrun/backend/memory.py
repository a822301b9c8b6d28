"""The transport to a handler in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from trialrun.backend.transport import Answer, Call
from trialrun_hookspecs.errors import BackendUnavailable

__all__ = ["AnswerLike", "Memory"]


class AnswerLike(Protocol):
    """The result of a handler: an Answer, or an object with its three parts."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Memory:
    """Passes each call to `handler` in the form that it would have on the wire.

    JSON is encoded and decoded (the handler gets it as `json` and as `body`), `headers` are complete, and a URL from an
    answer becomes path and parameters: a handler has no origin, so every URL is its own. The handler raises
    ConnectionError to give no answer.
    """

    def __init__(self, handler: Callable[[Call], AnswerLike]) -> None:
        self._handler = handler

    def send(self, call: Call) -> Answer:
        sent = _drop_origin(call.with_json_body())
        sent = replace(sent, headers=sent.to_headers())
        if call.json is not None and sent.body is not None:
            sent = replace(sent, json=json.loads(sent.body))
        try:
            result = self._handler(sent)
        except ConnectionError as error:
            raise BackendUnavailable("no answer", where=str(call), got=str(error)) from None
        answer = Answer(status=result.status, body=result.body, headers=result.headers)
        if call.save_to is not None and answer.ok:
            call.save_to.write_bytes(answer.body)
            return replace(answer, body=b"")
        return answer

    def close(self) -> None:
        pass


def _drop_origin(call: Call) -> Call:
    """Return the call without scheme and host, with the query moved to `params`."""
    parts = urlsplit(call.path)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return replace(call, path=parts.path.lstrip("/"), params=query + call.params)
