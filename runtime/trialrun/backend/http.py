"""The transport over HTTP."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from trialrun.backend.transport import Answer, Call
from trialrun.run_dir.atomic import replace_file
from trialrun_hookspecs.errors import BackendRefused, BackendUnavailable, BadValue, TrialrunError

__all__ = ["Http", "Tokens"]

MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 20
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The caller's credentials, with or without a leading `Token `; no repr and no error shows them."""

    access: str | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    tenant: str | None = field(default=None, repr=False)
    agent: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for part in fields(self):
            value: str | None = getattr(self, part.name)
            if value is not None and not (value.isascii() and value.isprintable()):
                raise BadValue(
                    "a token must be one line of printable ASCII",
                    where=f"the {part.name} token",
                    fix="Remove a line break or quotation mark that was copied with it.",
                )

    def to_headers(self) -> dict[str, str]:
        """Return the headers of the tokens that are set."""
        named = {
            "Synapse-Access-Token": self.access,
            "Authorization": self.authorization,
            "Synapse-Tenant": self.tenant,
            "SYNAPSE-Agent": self.agent,
        }
        return {name: f"Token {_strip_token(token)}" for name, token in named.items() if token}

    def redact_tokens(self, content: bytes) -> bytes:
        """Return `content` with every token replaced: some servers echo headers."""
        for part in fields(self):
            token = _strip_token(getattr(self, part.name) or "")
            if len(token) > 3:
                content = content.replace(token.encode(), b"***")
        return content


class Http:
    """Sends calls to the API at `url` over kept-alive connections; threads may share it.

    `timeout` is (for connecting, between two bytes) in seconds; `connections` are kept per host. Tokens are sent to the
    origin of `url` only, also when an answer redirects to or names another one. Raises BadValue: `url` is not valid.
    """

    def __init__(
        self,
        url: str,
        tokens: Tokens | None = None,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        connections: int = 16,
    ) -> None:
        self._base = _check_url(url)
        self._origin = _parse_origin(urlsplit(self._base))
        self._tokens = tokens or Tokens()
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _no_auth  # otherwise requests reads credentials from ~/.netrc
        self._session.trust_env = not _is_loopback(urlsplit(self._base).hostname or "")
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["User-Agent"] = "trialrun"
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __repr__(self) -> str:
        return f"Http({self._base!r})"

    @property
    def url(self) -> str:
        """The backend's URL, ending with a slash."""
        return self._base

    def send(self, call: Call) -> Answer:
        call = call.with_json_body()
        url, failure = _join_url(self._base, call.path, call), None
        try:
            for _ in range(MAX_REDIRECTS):
                with self._send_request(call, url) as response:
                    if not (response.is_redirect and call.method in ("GET", "HEAD")):
                        return self._read_answer(call, response)
                    url = _join_url(url, response.headers["Location"], call)
                    call = replace(call, params=())  # the new URL has its own
        except requests.RequestException as error:
            # Raised outside the handler: the error of requests refers to the request, and so to the tokens.
            failure = _translate_error(f"{call} at {self.url}", error)
        raise failure or BackendRefused("must not redirect endlessly", where=str(call), fix="Check the backend's URL.")

    def close(self) -> None:
        self._session.close()

    def _send_request(self, call: Call, url: str) -> requests.Response:
        headers = call.to_headers()
        if _parse_origin(urlsplit(url)) == self._origin:
            headers |= self._tokens.to_headers()
        return self._session.request(
            call.method,
            url,
            params=list(call.params),
            data=call.body,
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,  # requests would send our tokens to any host
            stream=True,
        )

    def _read_answer(self, call: Call, response: requests.Response) -> Answer:
        headers = dict(response.headers)
        ok = 200 <= response.status_code < 300
        if ok and call.save_to is not None:
            with replace_file(call.save_to) as partial, partial.open("wb") as file:
                for piece in response.iter_content(CHUNK_BYTES):
                    file.write(piece)
            return Answer(status=response.status_code, headers=headers)
        body = response.content
        return Answer(
            status=response.status_code, body=body if ok else self._tokens.redact_tokens(body), headers=headers
        )


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _strip_token(token: str) -> str:
    return token.strip().removeprefix("Token ").strip()


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    good = parts.scheme in DEFAULT_PORTS and parts.hostname and not (parts.username or parts.password)
    if not good or parts.query or parts.fragment or not _has_valid_port(parts):
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else "no host"
        raise BadValue(
            "must be an http or https URL without user name, query or fragment",
            where="the backend's URL",
            got=shown,
            fix="Write it like https://host/api/, and give the token separately.",
        )
    return url if url.endswith("/") else url + "/"


def _join_url(base: str, path: str, call: Call) -> str:
    try:
        url = urljoin(base, path)
        known = urlsplit(url).scheme in DEFAULT_PORTS
    except ValueError:
        known = False
    if not known:
        raise BackendRefused("a URL from the backend must be a valid http or https URL", where=str(call))
    return url


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _parse_origin(parts: SplitResult) -> tuple[str, str, int | None]:
    port = parts.port if _has_valid_port(parts) else -1
    return parts.scheme, (parts.hostname or "").lower(), port or DEFAULT_PORTS.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _translate_error(where: str, error: requests.RequestException) -> TrialrunError:
    """Return our error for an error of requests, whose own text shows the query."""
    causes = list(_iterate_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return BackendRefused("the certificate must be valid", where=where, fix="Set REQUESTS_CA_BUNDLE to your CA.")
    if isinstance(error, ValueError):
        return BackendRefused("a call must have a valid URL", where=where, got=type(error).__name__)
    if isinstance(error, requests.Timeout):
        return BackendUnavailable("no answer in time", where=where)
    reason = next((c.strerror for c in causes if isinstance(c, OSError) and c.strerror), type(causes[-1]).__name__)
    return BackendUnavailable("no answer", where=where, got=reason, fix="Check the URL and the network.")


def _iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = error.args[-1] if error.args and isinstance(error.args[-1], BaseException) else None
        error = inner or getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return
