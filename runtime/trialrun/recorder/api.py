"""The platform's API: all its routes, without a web framework."""

from __future__ import annotations

import errno
import hmac
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from trialrun.recorder.access import MASK, Endpoint, check_host, check_token, collect_secrets, mask_headers, sign
from trialrun.recorder.bodies import Body, read_body
from trialrun.recorder.context import ApiCall, Context
from trialrun.recorder.datasets import download_dataset_file, list_ground_truth_events
from trialrun.recorder.fault_routes import change_faults, clear_faults, show_faults
from trialrun.recorder.faults import FAULTS_ROUTE, Faults, ReplyLost
from trialrun.recorder.fixtures import Fixtures
from trialrun.recorder.jobs import change_job, list_jobs, override_best_trial, show_job
from trialrun.recorder.logs import add_logs
from trialrun.recorder.models import add_model, download_model_archive, list_models, show_model
from trialrun.recorder.normalise import BIGGEST_ID, Clock, to_text
from trialrun.recorder.replies import CallRefused, Reply, json_reply, refuse
from trialrun.recorder.store import Store
from trialrun.recorder.uploads import continue_upload, finish_upload, show_upload, start_upload

__all__ = ["MAX_BODY", "ROUTES", "Api"]

MAX_BODY = 64 * 1024 * 1024  # a chunk of 50 MB with its form around it, or a list of entries with images
LONGEST_PATH = 8192
READS = ("GET", "HEAD")

Handler = Callable[..., Reply]
Params = tuple[tuple[str, str], ...]
_HEALTH = "health"


def show_recorder(call: ApiCall) -> Reply:
    return json_reply(200, {"recorder": "trialrun", "version": _package_version(), "strict": call.context.strict})


def show_health(_: ApiCall) -> Reply:
    return json_reply(200, {"ok": True})


def show_release(call: ApiCall, release: int) -> Reply:
    row = call.context.store.fetch_one("SELECT * FROM releases WHERE id = ?", (release,))
    if row is None and call.context.strict:
        raise refuse(404, f"plugin release {release}: there is none.")
    code, version = (row["code"], row["version"]) if row else (f"plugin-{release}", "0.0.0")
    expanded = "plugin" in ",".join(call.all_params("expand")).split(",")
    plugin = {"id": release, "code": code, "name": code} if expanded else release
    return json_reply(200, {"id": release, "version": version, "plugin": plugin})


ROUTES: tuple[tuple[str, dict[str, Handler]], ...] = (
    (_HEALTH, {"GET": show_health}),
    ("trialrun", {"GET": show_recorder}),
    (FAULTS_ROUTE, {"GET": show_faults, "POST": change_faults, "DELETE": clear_faults}),
    ("models", {"GET": list_models, "POST": add_model}),
    ("models/#", {"GET": show_model}),
    ("jobs", {"GET": list_jobs}),
    ("jobs/#", {"GET": show_job, "PATCH": change_job}),
    ("plugin_releases/#", {"GET": show_release}),
    ("sdk/ground_truth_events", {"GET": list_ground_truth_events}),
    ("chunked_upload", {"PUT": start_upload}),
    ("chunked_upload/#", {"GET": show_upload, "PUT": continue_upload, "POST": finish_upload}),
    ("logs", {"POST": add_logs}),
    ("trains/#/override_best_trial", {"PUT": override_best_trial}),
    ("trialrun/files/models/#/*", {"GET": download_model_archive}),
    ("trialrun/files/datasets/#/#/#/*", {"GET": download_dataset_file}),
)


class Api:
    """The one implementation behind memory, sockets and mocks; `folder` holds the uploads.

    Each call is one transaction: its effect, its record and its reply are stored together or not at all, so that a call
    repeated with the same Idempotency-Key has exactly one effect.
    """

    def __init__(
        self,
        store: Store,
        fixtures: Fixtures,
        *,
        folder: Path,
        strict: bool = False,
        max_body: int = MAX_BODY,
        clock: Clock = lambda: datetime.now(UTC),
        faults: Faults | None = None,
    ) -> None:
        self.max_body = max_body
        self.faults = faults or Faults()
        self._clock = clock
        self._store = store
        self._context = Context(
            store=store,
            fixtures=fixtures,
            folder=folder,
            strict=strict,
            key=secrets.token_bytes(32),
            faults=self.faults,
        )

    def handle(
        self,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]] | Mapping[str, str] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        endpoint: Endpoint,
    ) -> Reply:
        """Return the reply to a call, whatever a client sends. `path` may be absolute and may have a query of its own.

        Raises ReplyLost, a ConnectionError, when a fault switch is set so.
        """
        method = to_text(method.upper())
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        pairs = tuple(params.items() if isinstance(params, Mapping) else params)
        try:
            path, pairs = _parse_target(path, pairs, endpoint)
            self._check_access(endpoint, method, path, pairs, lowered)
            if len(body) > self.max_body:
                raise refuse(413, f"body: holds at most {self.max_body} bytes, got {len(body)}.")
            reply = self.faults.intercept_call(
                method, path, lambda: self._serve_and_record(method, path, pairs, lowered, body, endpoint)
            )
        except CallRefused as refused:
            reply = refused.reply
        except RecursionError:
            reply = refuse(400, "body: must be JSON, got one nested too deeply. Send a flatter one.").reply
        except ReplyLost:
            raise
        except (sqlite3.OperationalError, OSError) as error:
            reply = _storage_reply(error)
        return Reply(status=reply.status, headers=reply.headers) if method == "HEAD" else reply

    def refuse_body(self, size: int) -> Reply:
        """Return the reply to a body that is too large to be read."""
        return refuse(413, f"body: holds at most {self.max_body} bytes, got {size} or more.").reply

    def _check_access(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        params: Params,
        headers: Mapping[str, str],
    ) -> None:
        check_host(endpoint, headers)
        if path == _HEALTH or (method in READS and self._is_signed(path, params)):
            return
        check_token(endpoint, headers)
        if self._store.readonly and method not in READS:
            raise refuse(403, "recording: it is open read-only, and this call would change it.")

    def _is_signed(self, path: str, params: Params) -> bool:
        if not path.startswith("trialrun/files/"):
            return False
        expected = sign(self._context.key, path.rpartition("/")[0]).encode()
        return any(
            key == "signature" and hmac.compare_digest(value.encode("utf-8", "replace"), expected)
            for key, value in params
        )

    def _serve_and_record(
        self,
        method: str,
        path: str,
        params: Params,
        headers: Mapping[str, str],
        raw: bytes,
        endpoint: Endpoint,
    ) -> Reply:
        now = self._clock()
        hidden = collect_secrets(endpoint, headers)
        params = tuple((_mask_text(key, hidden), _mask_text(value, hidden)) for key, value in params)
        multipart = headers.get("content-type", "").lstrip().lower().startswith("multipart/")
        clean = raw if multipart else _mask_bytes(raw, hidden)
        call = ApiCall(
            context=self._context,
            endpoint=endpoint,
            method=method,
            path=path,
            params=params,
            headers=headers,
            body=Body(),
            now=now,
            time=now.astimezone(UTC).isoformat(),
        )
        if self._store.readonly:
            return _dispatch_call(call, clean)
        # a read may take long (a model is packed into an archive) and must not block writers
        read = _dispatch_or_refuse(call, clean) if method in READS else None
        with self._store.transaction():
            reply, replayed = (read, False) if read else self._serve_once(call, clean)
            self._store.add_request(
                time=call.time,
                method=method,
                path=_mask_text(path, hidden),
                params=[pair for pair in params if pair[0] != "signature"],
                headers=mask_headers(headers),
                body=b"" if multipart else clean,  # the content of a form is kept as an upload
                size=len(raw),
                status=reply.status,
                replayed=replayed,
            )
        return reply

    def _serve_once(self, call: ApiCall, raw: bytes) -> tuple[Reply, bool]:
        key = call.headers.get("idempotency-key", "")
        scope = to_text(key), call.method, call.path
        known = self._store.find_reply(*scope) if key else None
        if known is not None:
            headers = {"Content-Type": "application/json", "Idempotency-Replayed": "true"}
            return Reply(status=known[0], content=known[1], headers=headers), True
        try:
            with self._store.savepoint():
                reply = _dispatch_call(call, raw)
        except CallRefused as refused:
            return refused.reply, False
        if key:
            self._store.add_reply(*scope, reply.status, reply.content)
        return reply, False


def _dispatch_or_refuse(call: ApiCall, raw: bytes) -> Reply:
    try:
        return _dispatch_call(call, raw)
    except CallRefused as refused:
        return refused.reply


def _dispatch_call(call: ApiCall, raw: bytes) -> Reply:
    handler, ids = _match_route("GET" if call.method == "HEAD" else call.method, call.path)
    body = read_body(call.headers.get("content-type", ""), raw, strict=call.context.strict)
    return handler(replace(call, body=body), *ids)


def _match_route(method: str, path: str) -> tuple[Handler, tuple[int, ...]]:
    for pattern, handlers in _compile_routes():
        if match := pattern.fullmatch(path):
            ids = tuple(map(int, match.groups()))
            if any(number > BIGGEST_ID for number in ids):
                break
            if method not in handlers:
                allowed = ", ".join(sorted(handlers))
                refusal = json_reply(405, {"detail": f"{method[:20]}: is not served here."}, Allow=allowed)
                raise CallRefused(refusal)
            return handlers[method], ids
    raise refuse(404, f"path: there is no {path[:200]!r}.")


@cache
def _compile_routes() -> list[tuple[re.Pattern[str], dict[str, Handler]]]:
    def compile_route(route: str) -> re.Pattern[str]:
        return re.compile(re.escape(route).replace(r"\#", "([0-9]{1,19})").replace(r"\*", "[^/]*"))

    return [(compile_route(route), handlers) for route, handlers in ROUTES]


def _parse_target(path: str, params: Params, endpoint: Endpoint) -> tuple[str, Params]:
    """Return the path without outer slashes and all parameters; `path` may be an address that the recorder returned."""
    if len(path) > LONGEST_PATH:
        raise refuse(414, f"path: holds at most {LONGEST_PATH} characters.")
    path = path.removeprefix(endpoint.base_url)
    path, _, query = path.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise refuse(400, "query: cannot be read.") from None
    return to_text(path.strip("/")), (*params, *pairs)


def _storage_reply(error: sqlite3.OperationalError | OSError) -> Reply:
    """Return a reply that lets the client retry when there is room on the disk again; raise other errors."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) if isinstance(error, OSError) else "is full" in str(error)
    if full:
        return refuse(507, "recorder: its disk is full. Make room and send this again.").reply
    if isinstance(error, sqlite3.Error) and re.search("locked|busy", str(error)):
        return json_reply(503, {"detail": "recorder: another process has locked the recording."}, Retry_After="1")
    raise error


def _mask_text(text: str, hidden: tuple[str, ...]) -> str:
    for secret in hidden:
        text = text.replace(secret, MASK)
    return text


def _mask_bytes(raw: bytes, hidden: tuple[str, ...]) -> bytes:
    for secret in hidden:
        raw = raw.replace(secret.encode(), MASK.encode())
    return raw


@cache
def _package_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("trialrun")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
