"""The call that every route of the recorder receives, and its context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from trialrun.recorder.access import Endpoint, sign
from trialrun.recorder.bodies import Body
from trialrun.recorder.faults import Faults
from trialrun.recorder.fixtures import Fixtures
from trialrun.recorder.normalise import safe_file_name
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.store import Store

__all__ = ["ApiCall", "Context"]

PAGE_SIZE = 100
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`folder` holds uploads and packed archives; `key` signs the addresses of files."""

    store: Store
    fixtures: Fixtures
    folder: Path
    strict: bool
    key: bytes
    faults: Faults


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """`path` has no slash at its ends; `headers` have lower-case names; `time` is `now` in UTC as ISO 8601."""

    context: Context
    endpoint: Endpoint
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: Body
    now: datetime
    time: str

    def first_param(self, name: str) -> str | None:
        return next((value for key, value in self.params if key == name), None)

    def all_params(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.params if key == name)

    def body_objects(self) -> list[dict[str, Any]]:
        """Return the objects of the body, which is one object or a list of them."""
        sent = self.body.value if isinstance(self.body.value, list) else [self.body.value]
        for index, item in enumerate(sent):
            if not isinstance(item, dict):
                raise refuse(400, f"body[{index}]: must be an object, got {type(item).__name__}.")
        return sent

    def body_object(self) -> dict[str, Any]:
        """Return the one object of the body; a lenient recorder takes it out of a list."""
        objects = self.body_objects()
        if len(objects) != 1 or (self.context.strict and isinstance(self.body.value, list)):
            raise refuse(400, f"body: must be one object, got a list of {len(objects)}.")
        return objects[0]

    def url(self, path: str) -> str:
        return self.endpoint.base_url + path

    def file_url(self, path: str, name: str) -> str:
        """Return an address from which the file can be fetched without a token."""
        return f"{self.url(path)}/{safe_file_name(name)}?signature={sign(self.context.key, path)}"

    def select_page(self, total: int) -> tuple[slice, int, int]:
        """Return the requested part of a list of `total` items, with the number and the size of the page."""
        size = min(max(_parse_number(self.first_param("page_size"), PAGE_SIZE), 1), LARGEST_PAGE)
        number = _parse_number(self.first_param("page"), 0 if self.first_param("page") else 1)
        if number < 1 or (number > 1 and (number - 1) * size >= total):
            raise refuse(404, "page: there is no such page.")
        return slice((number - 1) * size, number * size), number, size

    def build_page_reply(self, total: int, number: int, size: int, results: list[dict[str, Any]]) -> Reply:
        following = self._page_url(number + 1) if number * size < total else None
        previous = self._page_url(number - 1) if number > 1 else None
        return json_reply(200, {"count": total, "next": following, "previous": previous, "results": results})

    def _page_url(self, number: int) -> str:
        return self.url(f"{self.path}/?{urlencode([*self._other_params(), ('page', str(number))])}")

    def _other_params(self) -> Iterator[tuple[str, str]]:
        return (param for param in self.params if param[0] != "page")


def _parse_number(sent: str | None, default: int) -> int:
    return int(sent) if sent and sent.isascii() and sent.isdigit() and len(sent) < 10 else default
