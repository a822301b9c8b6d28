"""Access to the recorder: the checks of a call, and the secrets that are never recorded."""

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
SHORTEST_SECRET = 12  # shorter words occur by chance in other text, which masking would damage

_TOKEN = re.compile(r"\s*(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address of the recorder as a client sees it.

    A call must bring `token` (None: none is needed), and its Host header must be one of `hosts` (None: any host).
    """

    base_url: str = "http://trialrun.test/"
    token: str | None = None
    hosts: frozenset[str] | None = None


def check_host(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Refuse what another web site can make a browser send: a foreign Host (DNS rebinding) or a foreign Origin."""
    host = headers.get("host", "").lower()
    if endpoint.hosts is not None and host not in endpoint.hosts:
        raise _refuse_foreign("Host", host, "Use the address that the recorder printed.")
    origin = headers.get("origin")
    if origin is not None and (not host or origin.lower() != f"http://{host}"):
        raise _refuse_foreign("Origin", origin, "Calls from other web sites are refused.")


def check_token(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Refuse a call that does not bring the token in one of its two headers."""
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
    """Return the words of this call that must not be recorded, wherever they occur in it."""
    return tuple(word for word in {endpoint.token or "", *_header_words(headers)} if len(word) >= SHORTEST_SECRET)


def sign(secret: bytes, path: str) -> str:
    """Return the signature with which a client fetches a file without a token, as from a platform's object store."""
    return hmac.new(secret, path.encode(), hashlib.sha256).hexdigest()[:40]


def _header_words(headers: Mapping[str, str]) -> Iterable[str]:
    for name in SECRET_HEADERS & headers.keys():
        yield from headers[name].split()


def _refuse_foreign(name: str, got: str, fix: str) -> CallRefused:
    return refuse(403, f"{name}: must be this recorder's own, got {got[:200]!r}. {fix}")
