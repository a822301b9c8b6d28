"""The page's gate: a token in the printed address becomes a cookie, and nothing of elsewhere gets in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from trialrun.recorder.access import Endpoint, check_host, check_token
from trialrun.recorder.replies import refuse

__all__ = ["HEADERS", "build_cookie", "check_read", "check_same_site", "is_authenticated", "is_token"]

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PREFIX = "/ui"


def check_read(door: Endpoint, method: str, headers: Mapping[str, str]) -> None:
    """The page only reads, for this address, asked by itself or by somebody who typed the address."""
    if method not in ("GET", "HEAD"):
        raise refuse(405, "method: the page takes GET only.")
    check_host(door, headers)


def check_same_site(headers: Mapping[str, str]) -> None:
    """Browsers say where a call comes from; a page of elsewhere must not even load an image of ours."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise refuse(403, "Sec-Fetch-Site: calls from other web pages are not served.")


def is_token(door: Endpoint, sent: str) -> bool:
    return door.token is not None and hmac.compare_digest(sent.encode(), door.token.encode())


def is_authenticated(door: Endpoint, headers: Mapping[str, str]) -> bool:
    """Whether the call brings the cookie, or the token as other clients of the recorder bring it."""
    if door.token is None:
        return True
    jar = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        jar.clear()
    sent = jar.get(_cookie_name(door))
    if sent is not None and hmac.compare_digest(sent.value.encode(), _cookie_value(door.token).encode()):
        return True
    if "authorization" not in headers and "synapse-access-token" not in headers:
        return False
    check_token(door, headers)
    return True


def build_cookie(door: Endpoint) -> str:
    """The Set-Cookie header for who brought the token: for this session, this address, and no script."""
    return f"{_cookie_name(door)}={_cookie_value(door.token or '')}; Path={PREFIX}; HttpOnly; SameSite=Strict"


def _cookie_name(door: Endpoint) -> str:
    # cookies know no port: two recorders on one machine must not overwrite each other's
    return "trialrun-" + hashlib.sha256(door.base_url.rpartition(":")[2].encode()).hexdigest()[:8]


def _cookie_value(token: str) -> str:
    return hmac.new(token.encode(), b"the page's cookie", hashlib.sha256).hexdigest()
