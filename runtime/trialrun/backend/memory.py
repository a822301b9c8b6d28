"""A transport to a handler in this process."""

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
    """What a handler returns: an Answer, or something with its three parts."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Memory:
    """Hands each call to `handler` as it would leave on the wire.

    JSON has gone through text (the handler finds it in `json` and in `body`), `headers` are complete, and a URL from an
    answer arrives as path and parameters: a handler has no origin, so every URL is its own.
    """

    def __init__(self, handler: Callable[[Call], AnswerLike]) -> None:
        self._handler = handler

    def send(self, call: Call) -> Answer:
        sent = _drop_origin(call.with_json_body())
        sent = replace(sent, headers=sent.to_headers())
        if call.json is not None and sent.body is not None:
            sent = replace(sent, json=json.loads(sent.body))
        try:
            given = self._handler(sent)
        except ConnectionError as error:  # a handler's way to give no answer
            raise BackendUnavailable("no answer", where=str(call), got=str(error)) from None
        answer = Answer(status=given.status, body=given.body, headers=given.headers)
        if call.save_to is not None and answer.ok:
            call.save_to.write_bytes(answer.body)
            return replace(answer, body=b"")
        return answer

    def close(self) -> None:
        pass


def _drop_origin(call: Call) -> Call:
    """The call with scheme and host dropped, and the query moved to `params`."""
    parts = urlsplit(call.path)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return replace(call, path=parts.path.lstrip("/"), params=query + call.params)
