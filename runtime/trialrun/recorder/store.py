"""The store: one SQLite file with everything that was sent."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from trialrun.recorder.index import advance_index, ensure_index, is_indexed
from trialrun.recorder.normalise import Entry
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["Store"]

APPLICATION_ID = 0x74726C72  # "trlr": tells a recording from other SQLite files
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, params TEXT NOT NULL,
    headers TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL, status INTEGER NOT NULL,
    replayed INTEGER NOT NULL);
CREATE TABLE replies (
    key TEXT, method TEXT, path TEXT, status INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (key, method, path)) WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, request TEXT NOT NULL, release INTEGER, fields TEXT NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY, job INTEGER NOT NULL, time TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, job INTEGER NOT NULL, event TEXT NOT NULL, trial_id TEXT, time TEXT NOT NULL, key TEXT,
    data TEXT NOT NULL, file TEXT, extra TEXT);
CREATE UNIQUE INDEX entries_key ON entries (job, key) WHERE key IS NOT NULL;
CREATE INDEX entries_event ON entries (event, job, id);
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, offset INTEGER NOT NULL, total INTEGER NOT NULL,
    complete INTEGER NOT NULL, md5 TEXT, md5_matches INTEGER, created TEXT NOT NULL);
CREATE TABLE models (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, upload INTEGER, fields TEXT NOT NULL, created TEXT NOT NULL);
CREATE INDEX models_name ON models (name);
CREATE TABLE best_trials (
    id INTEGER PRIMARY KEY, job INTEGER NOT NULL, time TEXT NOT NULL, trial_id TEXT, hyperparameters TEXT NOT NULL);
CREATE TABLE releases (id INTEGER PRIMARY KEY, code TEXT NOT NULL, version TEXT NOT NULL);
"""

Row = sqlite3.Row


class Store:
    """One connection and one lock, safe for concurrent threads.

    Methods that change something must be called inside `transaction()`.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self._lock = threading.RLock()
        self._connection = _open_readonly(path) if readonly else _open_writable(path)

    def close(self) -> None:
        """Close, and merge the write-ahead log into the one file. Safe to call twice."""
        with self._lock:
            self._connection.close()

    def has_index(self) -> bool:
        """Return whether the recording has its index; one that is open for writing always has."""
        with self._lock:
            return is_indexed(self._connection)

    def copy_to(self, path: Path) -> None:
        """Copy the recording to `path`, with the content of the write-ahead log."""
        with self._lock, closing(sqlite3.connect(path)) as target:
            self._connection.backup(target)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a part of a transaction that is rolled back alone when it raises."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE part")

    def fetch_all(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def fetch_one(self, query: str, values: Sequence[Any] = ()) -> Row | None:
        rows = self.fetch_all(query, values)
        return rows[0] if rows else None

    def count(self, table: str, condition: str = "1", values: Sequence[Any] = ()) -> int:
        return int(self.fetch_all(f"SELECT count(*) AS n FROM {table} WHERE {condition}", values)[0]["n"])  # noqa: S608

    def newest_data(self, event: str, job: int, *trial: str | None) -> dict[str, Any] | None:
        """Return the data of the newest entry of an event, of one trial if given; None when it is not an object."""
        condition = " AND trial_id IS ?" if trial else ""
        row = self.fetch_one(
            f"SELECT data FROM entries WHERE event = ? AND job = ?{condition} ORDER BY id DESC LIMIT 1",  # noqa: S608
            (event, job, *trial),
        )
        data = json.loads(row["data"]) if row else None
        return data if isinstance(data, dict) else None

    def add_request(
        self,
        *,
        time: str,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        size: int,
        status: int,
        replayed: bool,
    ) -> None:
        values = (time, method, path, json.dumps(params), json.dumps(dict(headers)), body, size, status, replayed)
        self._execute_write("INSERT INTO requests VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def find_reply(self, key: str, method: str, path: str) -> tuple[int, bytes] | None:
        """Return status and content of the reply to an earlier call with this Idempotency-Key, or None."""
        found = self.fetch_one(
            "SELECT status, content FROM replies WHERE key = ? AND method = ? AND path = ?", (key, method, path)
        )
        return (found["status"], found["content"]) if found else None

    def add_reply(self, key: str, method: str, path: str, status: int, content: bytes) -> None:
        self._execute_write("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", (key, method, path, status, content))

    def add_entries(self, entries: Sequence[Entry]) -> int:
        """Return how many were new: an entry whose key is stored for this job already is left out."""
        before = self._connection.total_changes
        self._connection.executemany(
            "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (job, key) WHERE key IS NOT NULL DO NOTHING",
            [(e.job, e.event, e.trial_id, e.time, e.key, e.data, e.file, e.extra) for e in entries],
        )
        stored = self._connection.total_changes - before
        while advance_index(self._connection):
            pass
        return stored

    def rename_entries(self, entries: Sequence[int], prefix: str) -> None:
        """Put `prefix` before the event of each, once."""
        self._connection.executemany(
            "UPDATE entries SET event = ?1 || event WHERE id = ?2 AND substr(event, 1, ?3) <> ?1",
            [(prefix, entry, len(prefix)) for entry in entries],
        )

    def list_entries(self, *, event: str | None, job: int | None, trial_id: str | None, after: int = 0) -> list[Row]:
        """Return entries in the order in which they were stored; None means any."""
        return self.fetch_all(
            "SELECT * FROM entries WHERE id > ?1 AND (?2 IS NULL OR event = ?2) AND (?3 IS NULL OR job = ?3)"
            " AND (?4 IS NULL OR trial_id = ?4) ORDER BY id",
            (after, event, job, trial_id),
        )

    def add_job(
        self, *, job: int | None, name: str, request: Any, release: int | None, fields: Mapping[str, Any], time: str
    ) -> int:
        values = (job, name, json.dumps(request), release, json.dumps(dict(fields)), time, time)
        return self._execute_write("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def change_job(self, job: int, fields: Mapping[str, Any], changed: Mapping[str, Any], time: str) -> None:
        """Store `fields`, all fields of the job, and record `changed`, the fields of this change."""
        self._execute_write(
            "UPDATE jobs SET fields = ?, updated = ? WHERE id = ?", (json.dumps(dict(fields)), time, job)
        )
        self._connection.executemany(
            "INSERT INTO changes VALUES (NULL, ?, ?, ?, ?)",
            [(job, time, field, json.dumps(value)) for field, value in changed.items()],
        )

    def add_upload(self, *, name: str, path: str, total: int, time: str) -> int:
        return self._execute_write(
            "INSERT INTO uploads VALUES (NULL, ?, ?, 0, ?, 0, NULL, NULL, ?)", (name, path, total, time)
        )

    def change_upload(
        self,
        upload: int,
        *,
        path: str | None = None,
        offset: int | None = None,
        total: int | None = None,
        md5: str | None = None,
        md5_matches: bool | None = None,
        complete: bool | None = None,
    ) -> None:
        """Change the given columns; None keeps a value."""
        self._execute_write(
            "UPDATE uploads SET path = coalesce(?, path), offset = coalesce(?, offset), total = coalesce(?, total),"
            " md5 = coalesce(?, md5), md5_matches = coalesce(?, md5_matches), complete = coalesce(?, complete)"
            " WHERE id = ?",
            (path, offset, total, md5, md5_matches, complete, upload),
        )

    def add_model(self, *, model: int, name: str, upload: int | None, fields: Mapping[str, Any], time: str) -> None:
        self._execute_write(
            "INSERT INTO models VALUES (?, ?, ?, ?, ?)", (model, name, upload, json.dumps(dict(fields)), time)
        )

    def add_best_trial(self, *, job: int, trial_id: str | None, hyperparameters: Any, time: str) -> None:
        values = (job, time, trial_id, json.dumps(hyperparameters))
        self._execute_write("INSERT INTO best_trials VALUES (NULL, ?, ?, ?, ?)", values)

    def add_release(self, code: str, version: str) -> int:
        """Return the id of the release of this plugin at this version, a known or a new one."""
        known = self.fetch_one("SELECT id FROM releases WHERE code = ? AND version = ?", (code, version))
        if known:
            return int(known["id"])
        return self._execute_write("INSERT INTO releases VALUES (NULL, ?, ?)", (code, version))

    def _execute_write(self, statement: str, values: Sequence[Any]) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)


def _open_writable(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists() or path.stat().st_size == 0
    connection = _connect(path, "rwc")
    try:
        if not fresh:
            _check_format(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if fresh:
            connection.executescript(
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            )
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        ensure_index(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_readonly(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UsageError(
            "must be a recording", where=str(path), got="no such file", fix=f"Name a {layout.RECORDING} file."
        )
    connection = _connect(path, "ro")
    try:
        _check_format(connection, path)
    except sqlite3.OperationalError:  # on a read-only medium the index of the write-ahead log cannot be created
        connection.close()
        connection = _connect(path, "ro&immutable=1")
        _check_format(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.OperationalError as error:
        fix = "Name a file in a writable folder."
        raise UsageError("cannot be opened", where=str(path), got=str(error), fix=fix) from None
    connection.row_factory = sqlite3.Row
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    try:
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        kind = version = None
    if (kind, version) != (APPLICATION_ID, SCHEMA_VERSION):
        raise UsageError(
            "must be a recording of this version of trialrun",
            where=str(path),
            got="another kind of file" if kind != APPLICATION_ID else f"version {version}",
            fix=f"Name a {layout.RECORDING} file, or a path that does not exist yet.",
        )
