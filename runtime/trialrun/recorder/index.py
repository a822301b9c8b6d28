"""The index of a recording: the newest row of each trial, kept beside the log entries."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable
from typing import Any

from trialrun.recorder.normalise import to_text
from trialrun.recorder.tables import merge_table

__all__ = ["advance_index", "ensure_index", "is_indexed"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS index_state (entry INTEGER NOT NULL, version INTEGER NOT NULL, epoch TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    job INTEGER NOT NULL, trial TEXT NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, status TEXT,
    started TEXT, ended TEXT, updated TEXT NOT NULL, iteration INTEGER, cells TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS trials_trial ON trials (job, trial);
CREATE INDEX IF NOT EXISTS trials_number ON trials (job, number);
CREATE INDEX IF NOT EXISTS trials_version ON trials (job, version);
CREATE INDEX IF NOT EXISTS trials_status ON trials (job, status);
CREATE TABLE IF NOT EXISTS series (
    job INTEGER NOT NULL, event TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (job, event, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_trial ON entries (job, trial_id, event);
CREATE INDEX IF NOT EXISTS requests_facts ON requests (path, status, method);
"""
"""Created in every recording that is opened for writing; a recording without it is still valid."""

ENDED = frozenset({"TERMINATED", "ERROR"})
MOST_SERIES = 2_000  # names of metrics kept per job: a client may send any number
INDEXED_EVENTS = ("trials", "trials_delta", "trial_result", "metric")
BATCH_SIZE = 5_000

Row = dict[str, Any]


def is_indexed(connection: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'index_state'"
    return connection.execute(query).fetchone() is not None


def ensure_index(connection: sqlite3.Connection) -> None:
    """Create the index if it is missing, and advance it to the last entry. Must not run inside a transaction."""
    if not is_indexed(connection):
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        connection.execute("INSERT INTO index_state VALUES (0, 0, ?)", (secrets.token_hex(4),))
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            more = advance_index(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        if not more:
            return


def advance_index(connection: sqlite3.Connection) -> bool:
    """Index up to BATCH_SIZE new entries; return whether there were any. Must run inside a transaction."""
    state = connection.execute("SELECT entry, version FROM index_state").fetchone()
    entries = connection.execute(
        "SELECT id, job, event, trial_id, time, data FROM entries WHERE id > ? ORDER BY id LIMIT ?",
        (state["entry"], BATCH_SIZE),
    ).fetchall()
    if not entries:
        return False
    batch = _IndexBatch(connection, state["version"])
    for entry in entries:
        if entry["event"] in INDEXED_EVENTS:
            batch.add_entry(entry)
    batch.write_changes()
    connection.execute("UPDATE index_state SET entry = ?, version = ?", (entries[-1]["id"], batch.version))
    return True


class _IndexBatch:
    """The rows that a batch of entries changes; each is read once and written once."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self.version = version
        self._connection = connection
        self._rows: dict[tuple[int, str], Row] = {}
        self._changed: dict[tuple[int, str], None] = {}
        self._series: dict[tuple[int, str, str], None] = {}
        self._numbers: dict[int, int] = {}

    def add_entry(self, entry: sqlite3.Row) -> None:
        """Add an entry, whatever a client sent in it."""
        data = json.loads(entry["data"])
        if not isinstance(data, dict):
            return
        job, time = entry["job"], entry["time"]
        if entry["event"] in ("trials", "trials_delta"):
            self._add_table(job, time, data)
            return
        if entry["event"] == "metric":
            self._series[job, "metric", _metric_name(data)] = None
        else:
            names = data.get("metrics")
            self._series.update(
                ((job, "trial_result", to_text(name)), None) for name in (names if isinstance(names, dict) else ())
            )
        if entry["trial_id"]:
            self._add_point(job, entry["trial_id"], time, data.get("iteration"))

    def _add_table(self, job: int, time: str, payload: Row) -> None:
        trials = payload.get("trials")
        if not isinstance(trials, dict):
            return
        for sent_id, sent in trials.items():
            trial = to_text(sent_id)
            row = self._load_row(job, trial)
            before = row["cells"] if row else {}
            merged = {trial: {**before, "all_metrics": before.get("all_metrics", {})}}
            merge_table(merged, {**payload, "trials": {trial: sent}})
            cells = _build_cells(merged[trial])
            status = cells.pop("status")
            if row is None:
                row = self._create_row(job, trial, time)
            elif row["cells"] == cells and row["status"] == status:
                continue
            row["cells"] = cells
            self._set_status(row, status, time)
            self._mark_changed(job, trial, time)

    def _add_point(self, job: int, trial: str, time: str, iteration: Any) -> None:
        row = self._load_row(job, trial)
        known = row is not None
        row = row or self._create_row(job, trial, time)
        reached = row["iteration"] or 0
        if isinstance(iteration, int) and not isinstance(iteration, bool) and reached < iteration < 2**62:
            row["iteration"], known = iteration, False
        if not known:
            row["started"] = row["started"] or time
            self._mark_changed(job, trial, time)

    def _set_status(self, row: Row, status: str | None, time: str) -> None:
        if status not in (None, "PENDING"):
            row["started"] = row["started"] or time
        if status != row["status"]:
            row["ended"] = time if status in ENDED else None
        row["status"] = status

    def _load_row(self, job: int, trial: str) -> Row | None:
        known = self._rows.get((job, trial))
        if known is None:
            stored = self._connection.execute(
                "SELECT * FROM trials WHERE job = ? AND trial = ?", (job, trial)
            ).fetchone()
            if stored is not None:
                known = self._rows[job, trial] = {**dict(stored), "cells": json.loads(stored["cells"])}
        return known

    def _create_row(self, job: int, trial: str, time: str) -> Row:
        if job not in self._numbers:
            last = self._connection.execute("SELECT max(number) FROM trials WHERE job = ?", (job,)).fetchone()[0]
            self._numbers[job] = last or 0
        self._numbers[job] += 1
        facts: Row = dict.fromkeys(("status", "started", "ended", "iteration"))
        row: Row = {**facts, "job": job, "trial": trial, "number": self._numbers[job], "updated": time, "cells": {}}
        self._rows[job, trial] = row
        return row

    def _mark_changed(self, job: int, trial: str, time: str) -> None:
        self._rows[job, trial]["updated"] = time
        self._changed[job, trial] = None

    def write_changes(self) -> None:
        self._connection.executemany(
            "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, trial) DO UPDATE SET"
            " version = excluded.version, status = excluded.status, started = excluded.started, ended = excluded.ended,"
            " updated = excluded.updated, iteration = excluded.iteration, cells = excluded.cells",
            [self._next_values(self._rows[key]) for key in self._changed],
        )
        self._connection.executemany(
            "INSERT INTO series SELECT ?1, ?2, ?3 WHERE NOT EXISTS"
            " (SELECT 1 FROM series WHERE job = ?1 AND event = ?2 AND name = ?3)"
            " AND (SELECT count(*) FROM series WHERE job = ?1) < ?4",
            [(*named, MOST_SERIES) for named in self._series],
        )

    def _next_values(self, row: Row) -> tuple[Any, ...]:
        self.version += 1
        keys = ("status", "started", "ended", "updated", "iteration")
        facts = tuple(row[key] for key in keys)
        return (row["job"], row["trial"], row["number"], self.version, *facts, json.dumps(row["cells"]))


def _build_cells(merged: Row) -> Row:
    status = merged.get("status")
    return {
        "status": None if status is None else to_text(status),
        "hyperparameters": merged.get("hyperparameters") or {},
        "metrics": list(_iter_keys(merged.get("metrics"))),
        "all_metrics": merged.get("all_metrics") or {},
        "nonfinite": merged["nonfinite"] if isinstance(merged.get("nonfinite"), dict) else {},
    }


def _iter_keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


def _metric_name(data: Row) -> str:
    parts = [data.get("category"), data.get("key")]
    return "/".join(to_text(part) for part in parts if part is not None)[:500]
