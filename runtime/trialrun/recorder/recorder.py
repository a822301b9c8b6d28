"""The recorder: the fake platform backend and its recording."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from trialrun.recorder.access import Endpoint
from trialrun.recorder.api import MAX_BODY, Api
from trialrun.recorder.faults import Fault, FaultKind, Faults
from trialrun.recorder.fixtures import Fixtures
from trialrun.recorder.jobs import describe_job
from trialrun.recorder.normalise import Clock, normalize_progress
from trialrun.recorder.replies import Reply
from trialrun.recorder.store import Row, Store
from trialrun.recorder.tables import merge_table
from trialrun.recorder.uploads import upload_path
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import NotOnBackend

__all__ = ["CallLike", "HttpServer", "Recorder"]


class HttpServer(Protocol):
    """A server of one recorder, as `Recorder.server()` returns it. `url` ends in a slash and is known after `start()`.

    `remote`: other machines can reach it.
    """

    host: str
    port: int
    url: str
    token: str
    recorder: Recorder
    remote: bool

    @property
    def page_url(self) -> str:
        """The address of the web UI, with the token."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def start(self) -> None:
        """Return when the server listens. Raises UsageError when the address is taken."""

    def stop(self) -> None:
        """Finish the calls in progress, then close. Safe to call twice."""


class CallLike(Protocol):
    """One HTTP call as a value, for `Recorder.handler()`. `json` is used when `body` is None."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def params(self) -> Iterable[tuple[str, str]]: ...
    @property
    def json(self) -> Any: ...
    @property
    def body(self) -> bytes | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def key(self) -> str | None: ...


class Recorder:
    """Takes the platform's calls through `handle`, `handler()`, `server()` or `mock.mounted()`, and records them.

    `path` is the SQLite file, created or continued; None or ":memory:" records into a temporary folder that `close()`
    removes. Uploads are in `<stem>-files` beside it. Every call must bring `token` when it is given; a server without
    one generates its own.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        strict: bool = False,
        fixtures: Fixtures | None = None,
        token: str | None = None,
        max_body: int = MAX_BODY,
        clock: Clock = lambda: datetime.now(UTC),
        readonly: bool = False,
    ) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="trialrun-")) if path in (None, ":memory:") else None
        self.path = self._temporary / layout.RECORDING if self._temporary else Path(str(path))
        self.folder = layout.files_beside(self.path)
        self.fixtures = fixtures or Fixtures()
        self.strict = strict
        self.token = token
        self._clock = clock
        self._store = Store(self.path, readonly=readonly)
        self.api = Api(self._store, self.fixtures, folder=self.folder, strict=strict, max_body=max_body, clock=clock)
        self.faults: Faults = self.api.faults
        self._merged: dict[int, tuple[int, dict[str, dict[str, Any]]]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Recorder:
        """Open a recording read-only, also one whose job was killed. Raises UsageError: the file is not a recording."""
        return cls(path, readonly=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the recording, and remove a temporary one. Safe to call twice."""
        self._store.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # calls of clients

    def handle(
        self,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]] | Mapping[str, str] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        endpoint: Endpoint | None = None,
    ) -> Reply:
        """Return the reply to one call, whatever a client sends. Raises ReplyLost when a fault switch is set so."""
        return self.api.handle(method, path, params, headers, body, endpoint=endpoint or Endpoint(token=self.token))

    def handler(self) -> Callable[[CallLike], Reply]:
        """Return a function from a call to its reply, for clients in this process."""

        def handle_call(call: CallLike) -> Reply:
            headers = dict(call.headers)
            body = call.body
            if body is None:
                body = b"" if call.json is None else json.dumps(call.json).encode()
            if call.content_type:
                headers["Content-Type"] = call.content_type
            if call.key:
                headers["Idempotency-Key"] = call.key
            return self.handle(call.method, call.path, tuple(call.params), headers, body)

        return handle_call

    def server(
        self, host: str = "127.0.0.1", port: int = 0, *, allow_remote: bool = False, on_demand: bool = False
    ) -> HttpServer:
        """Return an HTTP server for this recorder, with the web UI, not yet started.

        With `on_demand` it listens at once and loads its HTTP libraries at the first connection.

        The web UI stands above the recorder, so it is looked up by its name, and only when somebody asks for it.
        """
        server: HttpServer = import_module("trialrun.web.server").RecorderServer(
            self, host=host, port=port, allow_remote=allow_remote, on_demand=on_demand
        )
        return server

    # faults, for tests of clients

    def fail(
        self,
        kind: FaultKind = "unavailable",
        *,
        first: int = 1,
        last: int | None = None,
        route: str = "",
        seconds: float = 0.05,
        retry_after: int = 0,
    ) -> None:
        """Fail the calls `first` through `last` (None: all that follow), counted from 1 at the next call.

        See `Fault` for the kinds. A second `fail` adds a fault and counts calls from 1 again.
        """
        fault = Fault(kind=kind, first=first, last=last, route=route, seconds=seconds, retry_after=retry_after)
        self.faults.reset_count()
        self.faults.add(fault)

    def heal(self) -> None:
        """Remove all faults."""
        self.faults.clear()

    # preparation

    def create_job(
        self, name: str, request: Mapping[str, Any], *, plugin: str = "", version: str = "", job_id: int | None = None
    ) -> int:
        """Create a job, return its id. `request` is JSON (`action`, `params`); `plugin` and `version` its release."""
        time = self._clock().astimezone(UTC).isoformat()
        with self._store.transaction():
            release = self._store.add_release(plugin, version) if plugin else None
            return self._store.add_job(
                job=job_id, name=name, request=dict(request), release=release, fields={"status": "PENDING"}, time=time
            )

    # the recording

    def events(
        self, kind: str | None = None, *, job_id: int | None = None, trial_id: str | None = None, after: int = 0
    ) -> list[dict[str, Any]]:
        """Return log entries in the order in which they were stored, those after the id `after`.

        Each has id, event, job, trial_id, time, key, data, file and other fields that the client sent.
        """
        return [
            _parse_entry(row)
            for row in self._store.list_entries(event=kind, job=job_id, trial_id=trial_id, after=after)
        ]

    def metrics(self, trial_id: str | None = None, job_id: int | None = None) -> list[dict[str, Any]]:
        """Return logged metrics: category, key, value, metrics, trial_id, job, time."""
        return self._flatten_entries("metric", ("category", "key", "value", "metrics"), job_id, trial_id)

    def messages(self, job_id: int | None = None) -> list[dict[str, Any]]:
        """Return messages: context, content, job, time."""
        return self._flatten_entries("message", ("context", "content"), job_id)

    def visualizations(self, trial_id: str | None = None, job_id: int | None = None) -> list[dict[str, Any]]:
        """Return images: category, group, index, `file` (a data URI), trial_id, job, time and fields of the client."""
        return self._flatten_entries("visualization", ("category", "group", "index"), job_id, trial_id)

    def tables(self, job_id: int | None = None) -> list[dict[str, Any]]:
        """Return the whole trial tables as they were sent, oldest first."""
        return [entry["data"] for entry in self.events("trials", job_id=job_id)]

    def last_table(self, job_id: int | None = None) -> dict[str, Any] | None:
        """Return the newest whole table, or None."""
        row = self._store.fetch_one(
            "SELECT data FROM entries WHERE id ="
            " (SELECT max(id) FROM entries WHERE event = 'trials' AND (?1 IS NULL OR job = ?1))",
            (job_id,),
        )
        table: dict[str, Any] | None = json.loads(row["data"]) if row else None
        return table

    def table_rows(self, job_id: int) -> dict[str, dict[str, Any]]:
        """Return the newest row of each trial, from deltas and whole tables. A second call reads only new entries.

        A row has `status`, `all_metrics`, and `base`, `hyperparameters` and `metrics` as mappings from column to value.
        """
        seen, rows = self._merged.get(job_id, (0, {}))
        rows = dict(rows)
        for row in self._store.fetch_all(
            "SELECT id, data FROM entries WHERE event IN ('trials', 'trials_delta') AND job = ? AND id > ? ORDER BY id",
            (job_id, seen),
        ):
            seen = row["id"]
            merge_table(rows, json.loads(row["data"]))
        self._merged[job_id] = seen, rows
        return {trial_id: dict(merged) for trial_id, merged in rows.items()}

    def jobs(self) -> list[dict[str, Any]]:
        return [describe_job(row) for row in self._store.fetch_all("SELECT * FROM jobs ORDER BY id")]

    def job(self, job_id: int) -> dict[str, Any]:
        """Return the job as GET answers it. Raises NotOnBackend: there is no such job."""
        row = self._store.fetch_one("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if row is None:
            raise NotOnBackend(
                "must be a job of this recording", where="job", got=str(job_id), fix="Call jobs() for the ids."
            )
        return describe_job(row)

    def changes(self, job_id: int, field: str | None = None) -> list[dict[str, Any]]:
        """Return the changes by PATCH, oldest first: field, value, time."""
        rows = self._store.fetch_all("SELECT * FROM changes WHERE job = ? ORDER BY id", (job_id,))
        changes = [{"field": row["field"], "value": json.loads(row["value"]), "time": row["time"]} for row in rows]
        return [change for change in changes if field in (None, change["field"])]

    def progress(self, job_id: int) -> list[dict[str, Any]]:
        """Return the progress records as `overall` and `categories`, oldest first."""
        return [normalize_progress(change["value"]) for change in self.changes(job_id, "progress_record")]

    def models(self) -> list[dict[str, Any]]:
        """Return models: id, name, fields of the client, `path` of the upload or None, size, md5, md5_matches."""
        rows = self._store.fetch_all(
            "SELECT m.*, u.path, u.offset, u.md5, u.md5_matches FROM models m LEFT JOIN uploads u ON u.id = m.upload"
            " ORDER BY m.id"
        )
        return [{**json.loads(row["fields"]), **self._describe_model(row)} for row in rows]

    def best_trials(self, job_id: int | None = None) -> list[dict[str, Any]]:
        """Return the registered best trials: job, trial_id, hyperparameters, time."""
        rows = self._store.fetch_all("SELECT * FROM best_trials ORDER BY id")
        bests = [{**dict(row), "hyperparameters": json.loads(row["hyperparameters"])} for row in rows]
        return [best for best in bests if job_id in (None, best["job"])]

    def requests(self, route: str | None = None) -> list[dict[str, Any]]:
        """Return every call with masked tokens; `route` such as "logs" or "jobs/1" selects those at or below it.

        Each has time, method, path, params, headers, body, size, status and replayed. The body is parsed when it is
        JSON, else bytes; that of a multipart form is None, since its content is an upload.
        """
        rows = self._store.fetch_all("SELECT * FROM requests ORDER BY id")
        wanted = (route or "").strip("/")
        return [_parse_request(row) for row in rows if not wanted or f"{row['path']}/".startswith(f"{wanted}/")]

    def _flatten_entries(
        self, kind: str, columns: tuple[str, ...], job_id: int | None, trial_id: str | None = None
    ) -> list[dict[str, Any]]:
        facts = ("id", "job", "trial_id", "time", "file")  # not the entry's key: a metric has a `key` of its own
        return [
            {**dict.fromkeys(columns), **_as_mapping(entry["data"]), **{fact: entry[fact] for fact in facts}}
            for entry in self.events(kind, job_id=job_id, trial_id=trial_id)
        ]

    def _describe_model(self, row: Row) -> dict[str, Any]:
        facts = {key: row[key] for key in ("id", "name", "created", "md5")}
        matches = None if row["md5_matches"] is None else bool(row["md5_matches"])
        path = upload_path(self.folder, row["path"]) if row["path"] else None
        return {**facts, "md5_matches": matches, "path": path, "size": row["offset"]}


def _parse_entry(row: Row) -> dict[str, Any]:
    columns = {key: row[key] for key in ("id", "event", "trial_id", "time", "key", "file")}
    extra = json.loads(row["extra"]) if row["extra"] else {}
    return {**extra, **columns, "job": row["job"] or None, "data": json.loads(row["data"])}


def _parse_request(row: Row) -> dict[str, Any]:
    body: Any = row["body"]
    try:
        body = json.loads(body)
    except ValueError:
        body = body or None
    return {
        **dict(row),
        "params": [tuple(pair) for pair in json.loads(row["params"])],
        "headers": json.loads(row["headers"]),
        "body": body,
        "replayed": bool(row["replayed"]),
    }


def _as_mapping(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
