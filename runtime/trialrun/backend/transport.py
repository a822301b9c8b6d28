"""The seam to a backend: one call, its answer."""

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
    """One call of the API; immutable, so that a second try is the same call.

    `path` is relative to the backend's URL (`models/7/`), or a URL taken from an earlier answer. At most one of `json`
    and `body` is given. `key` is sent as `Idempotency-Key`. With `save_to`, the body of a 2xx answer is written to that
    file and `Answer.body` is empty. Secrets are no part of a call: the transport adds them.
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
        """Method and path; never the query, which may be a signature."""
        return f"{self.method} {self.path.partition('?')[0].partition('#')[0]}"

    def with_json_body(self) -> Call:
        """The same call with `json` written out as `body`; raises BadValue for what JSON cannot say."""
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
        """All headers of the call itself."""
        headers = dict(self.headers)
        if self.content_type:
            headers["Content-Type"] = self.content_type
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def retryable(self) -> bool:
        """The backend cannot now and may later: 5xx, 429, 408."""
        return self.status >= 500 or self.status in (408, 429)

    def get_header(self, name: str) -> str | None:
        """The value of a header, in whatever case it was sent."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)

    def json(self) -> Any:
        """The body as JSON; raises BackendRefused when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            pass
        error = BackendRefused(
            "an answer must be JSON",
            where=f"status {self.status}",
            got=repr(self.body_excerpt()),
            fix="Check that the URL is that of the API.",
        )
        error.status = self.status
        raise error

    def body_excerpt(self) -> str:
        """The beginning of the body, for an error message."""
        text = self.body[: EXCERPT_CHARS * 4].decode(errors="replace").strip()
        return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "…"


class Transport(Protocol):
    """Carries calls; stackable: `Retry(Http(url))`."""

    def send(self, call: Call) -> Answer:
        """The answer, of any status; raises BackendUnavailable when there is none."""

    def close(self) -> None:
        """Let go of connections; harmless when repeated."""
