"""The interface to a backend: a call and its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from trialrun_hookspecs.errors import BackendRefused, BadValue

__all__ = ["Answer", "Call", "Transport"]

EXCERPT_CHARS = 300  # characters of an answer that an error message shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API; immutable, so that a retry is the same call.

    `path` is relative to the backend's URL (`models/7/`), or a URL from an earlier answer. Only one of `json` and
    `body` may be given. `key` is sent as `Idempotency-Key`. With `save_to`, the body of a 2xx answer is written to that
    file and `Answer.body` is empty. A call holds no secrets: the transport adds them.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    json: Any = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    save_to: Path | None = None

    def __str__(self) -> str:
        """Return method and path without the query, which may be a signature."""
        return f"{self.method} {self.path.partition('?')[0].partition('#')[0]}"

    def with_json_body(self) -> Call:
        """Return the same call with `json` encoded as `body`. Raises BadValue: JSON cannot represent it."""
        if self.json is None or self.body is not None:
            return self
        try:
            body = json.dumps(self.json, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise BadValue(
                "the body of a call must be JSON",
                where=str(self),
                got=str(error),
                fix="Report plain finite numbers, strings, lists and dicts.",
            ) from error
        return replace(self, body=body, content_type="application/json")

    def to_headers(self) -> dict[str, str]:
        """Return all headers of the call itself."""
        headers = dict(self.headers)
        if self.content_type:
            headers["Content-Type"] = self.content_type
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of any status."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def retryable(self) -> bool:
        """Return whether the backend may accept the call later: 5xx, 429, 408."""
        return self.status >= 500 or self.status in (408, 429)

    def get_header(self, name: str) -> str | None:
        """Return the value of a header, whatever its case; None when it is absent."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)

    def json(self) -> Any:
        """Return the body as JSON. Raises BackendRefused: it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            pass
        error = BackendRefused(
            "an answer must be JSON",
            where=f"status {self.status}",
            got=repr(self.body_excerpt()),
            fix="Check that the URL is the API's.",
        )
        error.status = self.status
        raise error

    def body_excerpt(self) -> str:
        """Return the beginning of the body, for an error message."""
        text = self.body[: EXCERPT_CHARS * 4].decode(errors="replace").strip()
        return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "…"


class Transport(Protocol):
    """Sends calls; stackable: `Retry(Http(url))`."""

    def send(self, call: Call) -> Answer:
        """Return the answer, of any status. Raises BackendUnavailable: there is none."""

    def close(self) -> None:
        """Close connections; harmless when repeated."""
