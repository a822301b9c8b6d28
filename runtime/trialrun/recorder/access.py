"""The gate: who may talk to the recorder, and which words of theirs are never written down."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trialrun.recorder.replies import CallRefused, refuse

__all__ = ["Endpoint", "check_host", "check_token", "collect_secrets", "mask_headers", "sign"]

TOKEN_HEADERS = ("authorization", "synapse-access-token")
SECRET_HEADERS = frozenset({*TOKEN_HEADERS, "synapse-tenant", "synapse-agent", "cookie", "proxy-authorization"})
MASK = "***"
SHORTEST_SECRET = 12  # shorter ones are found by chance in honest text, and masking would damage it

_TOKEN = re.compile(r"\s*(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How a call came in.

    `base_url` is the address it sees, `token` what it must bring (None: nothing), `hosts` what it may name (None: any).
    """

    base_url: str = "http://trialrun.test/"
    token: str | None = None
    hosts: frozenset[str] | None = None


def check_host(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Refuse what a web page of elsewhere can make a browser send: a foreign Host (rebinding) or a foreign Origin."""
    host = headers.get("host", "").lower()
    if endpoint.hosts is not None and host not in endpoint.hosts:
        raise _refuse_foreign("Host", host, "Use the address that the recorder printed.")
    origin = headers.get("origin")
    if origin is not None and (not host or origin.lower() != f"http://{host}"):
        raise _refuse_foreign("Origin", origin, "Calls from other web pages are not served.")


def check_token(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    if endpoint.token is None:
        return
    for name in TOKEN_HEADERS:
        sent = _TOKEN.fullmatch(headers.get(name, ""))
        if sent and hmac.compare_digest(sent[1].encode(), endpoint.token.encode()):
            return
    raise refuse(401, "Authorization or Synapse-Access-Token: must be 'Token <the token that the recorder printed>'.")


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if name in SECRET_HEADERS else value for name, value in headers.items()}


def collect_secrets(endpoint: Endpoint, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be written down of this call, wherever it stands in it."""
    return tuple(word for word in {endpoint.token or "", *_header_words(headers)} if len(word) >= SHORTEST_SECRET)


def sign(secret: bytes, path: str) -> str:
    """The signature that lets a client fetch one file by its address alone, as from a platform's object store."""
    return hmac.new(secret, path.encode(), hashlib.sha256).hexdigest()[:40]


def _header_words(headers: Mapping[str, str]) -> Iterable[str]:
    for name in SECRET_HEADERS & headers.keys():
        yield from headers[name].split()


def _refuse_foreign(name: str, got: str, fix: str) -> CallRefused:
    return refuse(403, f"{name}: must be this recorder's own, got {got[:200]!r}. {fix}")
