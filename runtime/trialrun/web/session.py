"""Access to the web UI: the token of the printed address becomes a cookie, and other sites are refused."""

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


def check_read(endpoint: Endpoint, method: str, headers: Mapping[str, str]) -> None:
    """Refuse methods that change something, and calls of a foreign Host or Origin."""
    if method not in ("GET", "HEAD"):
        raise refuse(405, f"method: the web UI takes GET only, got {method[:20]}.")
    check_host(endpoint, headers)


def check_same_site(headers: Mapping[str, str]) -> None:
    """Refuse a call that the browser marks as from another site; such a site must not even load an image."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise refuse(403, "Sec-Fetch-Site: calls from other web pages are not served.")


def is_token(endpoint: Endpoint, sent: str) -> bool:
    return endpoint.token is not None and hmac.compare_digest(sent.encode(), endpoint.token.encode())


def is_authenticated(endpoint: Endpoint, headers: Mapping[str, str]) -> bool:
    """Return whether the call has the cookie, or the token in a header as clients of the recorder send it."""
    if endpoint.token is None:
        return True
    jar = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        jar.clear()
    sent = jar.get(_cookie_name(endpoint))
    if sent is not None and hmac.compare_digest(sent.value.encode(), _cookie_value(endpoint.token).encode()):
        return True
    if "authorization" not in headers and "synapse-access-token" not in headers:
        return False
    check_token(endpoint, headers)
    return True


def build_cookie(endpoint: Endpoint) -> str:
    """Return the Set-Cookie header for a caller with the token: for this session and address, hidden from scripts."""
    return f"{_cookie_name(endpoint)}={_cookie_value(endpoint.token or '')}; Path={PREFIX}; HttpOnly; SameSite=Strict"


def _cookie_name(endpoint: Endpoint) -> str:
    # cookies ignore the port: the name keeps two recorders on one machine apart
    return "trialrun-" + hashlib.sha256(endpoint.base_url.rpartition(":")[2].encode()).hexdigest()[:8]


def _cookie_value(token: str) -> str:
    return hmac.new(token.encode(), b"the page's cookie", hashlib.sha256).hexdigest()
