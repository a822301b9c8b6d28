"""Tests of `trialrun.recorder.store`."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trialrun.recorder.normalise import Entry
from trialrun.recorder.store import Store
from trialrun_hookspecs.errors import UsageError

JOBS = st.integers(0, 3)
KEYS = st.none() | st.sampled_from(["a", "b", "c"])
NAMES = st.text(max_size=3).map(lambda word: word.encode("utf-8", "replace").decode())


class Broken(Exception):
    pass


def an_entry(*, job: int = 1, event: str = "metric", **columns: Any) -> Entry:
    absent = dict.fromkeys(("trial_id", "key", "file", "extra"))
    return Entry(**{"job": job, "event": event, "time": "t", "data": "{}", **absent, **columns})


def break_off(store: Store, entries: list[Entry]) -> None:
    with store.transaction():
        store.add_entries(entries)
        store.add_upload(name="n", path="p", total=1, time="t")
        raise Broken


def break_off_a_part(store: Store, entries: list[Entry]) -> None:
    with store.savepoint():
        store.add_entries(entries)
        raise Broken


class StoreAgainstDicts(RuleBasedStateMachine):
    """The store does what lists and dicts do, through broken transactions and reopening."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "r.sqlite"
        self.store = Store(self.path)
        self.entries: list[tuple[int, str | None, str]] = []
        self.jobs: dict[int, dict[str, Any]] = {}
        self.changes: list[tuple[int, str, Any]] = []
        self.replies: dict[str, bytes] = {}
        self.uploads: dict[int, int] = {}

    @rule(sent=st.lists(st.tuples(JOBS, KEYS, st.sampled_from(["metric", "message"])), max_size=5))
    def add_entries(self, sent: list[tuple[int, str | None, str]]) -> None:
        with self.store.transaction():
            stored = self.store.add_entries([an_entry(job=job, key=key, event=event) for job, key, event in sent])
        before = len(self.entries)
        for job, key, event in sent:
            if key is None or (job, key) not in {(known[0], known[1]) for known in self.entries}:
                self.entries.append((job, key, event))
        assert stored == len(self.entries) - before

    @rule(job=JOBS, changed=st.dictionaries(st.sampled_from(["status", "result"]), st.integers(), min_size=1))
    def change_job(self, job: int, changed: dict[str, Any]) -> None:
        with self.store.transaction():
            if job not in self.jobs:
                self.store.add_job(job=job, name="n", request={}, release=None, fields={}, time="t")
            fields = {**self.jobs.get(job, {}), **changed}
            self.store.change_job(job, fields, changed, "t")
        self.jobs[job] = fields
        self.changes += [(job, field, value) for field, value in changed.items()]

    @rule(key=st.sampled_from(["x", "y"]), content=st.binary(max_size=3))
    def reply_once(self, key: str, content: bytes) -> None:
        with self.store.transaction():
            known = self.store.find_reply(key, "POST", "logs")
            assert (known and known[1]) == self.replies.get(key)
            if known is None:
                self.store.add_reply(key, "POST", "logs", 201, content)
        self.replies.setdefault(key, content)

    @rule(size=st.integers(0, 9))
    def upload(self, size: int) -> None:
        with self.store.transaction():
            upload = self.store.add_upload(name="n", path="p", total=size, time="t")
            self.store.change_upload(upload, offset=size)
        assert upload not in self.uploads
        self.uploads[upload] = size

    @rule(job=JOBS)
    def break_a_transaction(self, job: int) -> None:
        with pytest.raises(Broken):
            break_off(self.store, [an_entry(job=job), an_entry(job=job, key="b")])

    @rule(job=JOBS)
    def break_a_part(self, job: int) -> None:
        with self.store.transaction():
            with pytest.raises(Broken):
                break_off_a_part(self.store, [an_entry(job=job)])
            self.store.add_entries([an_entry(job=job)])
        self.entries.append((job, None, "metric"))

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def entries_are_in_order(self) -> None:
        rows = self.store.list_entries(event=None, job=None, trial_id=None)
        assert [(row["job"], row["key"], row["event"]) for row in rows] == self.entries
        messages = self.store.list_entries(event="message", job=2, trial_id=None)
        assert len(messages) == sum(job == 2 and event == "message" for job, _, event in self.entries)

    @invariant()
    def jobs_are_as_last_changed(self) -> None:
        rows = self.store.fetch_all("SELECT id, fields FROM jobs")
        assert {row["id"]: json.loads(row["fields"]) for row in rows} == self.jobs
        rows = self.store.fetch_all("SELECT * FROM changes ORDER BY id")
        assert [(row["job"], row["field"], json.loads(row["value"])) for row in rows] == self.changes

    @invariant()
    def uploads_are_known(self) -> None:
        rows = self.store.fetch_all("SELECT id, offset FROM uploads")
        assert {row["id"]: row["offset"] for row in rows} == self.uploads

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestStoreAgainstDicts = StoreAgainstDicts.TestCase
TestStoreAgainstDicts.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_writers_of_many_threads_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")

    def write(thread: int) -> None:
        for _ in range(20):
            with store.transaction():
                store.add_entries([an_entry(trial_id=str(thread))] * 10)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = store.fetch_all("SELECT trial_id, count(*) AS n FROM entries GROUP BY trial_id")
    store.close()
    assert [row["n"] for row in counted] == [200] * 8


def test_full_disk_undoes_the_transaction(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    pages = store.fetch_all("PRAGMA page_count")[0][0]
    store.fetch_all(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="full"), store.transaction():
        store.add_entries([an_entry(data=json.dumps("x" * 100_000))])
    store.fetch_all("PRAGMA max_page_count = 100000")
    with store.transaction():
        assert store.add_entries([an_entry(data=json.dumps("x" * 100_000))]) == 1
    assert len(store.list_entries(event=None, job=None, trial_id=None)) == 1
    store.close()


def test_recording_of_a_killed_process_is_whole(tmp_path: Path) -> None:
    """The process dies without closing: what it had committed is in the write-ahead log only."""
    path = tmp_path / "r.sqlite"
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from trialrun.recorder import Recorder\n"
        "recorder = Recorder(Path(sys.argv[1]))\n"
        "for _ in range(3):\n"
        "    recorder.handle('POST', 'logs/', body=b'{\"event\": \"message\", \"data\": {}}')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, env=dict(os.environ), timeout=60)
    assert path.with_name("r.sqlite-wal").exists()
    store = Store(path, readonly=True)
    assert len(store.list_entries(event="message", job=None, trial_id=None)) == 3
    store.close()


def test_closed_recording_is_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite")
    with store.transaction():
        store.add_entries([an_entry()])
    store.close()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]


@pytest.mark.parametrize("readonly", [True, False])
def test_other_files_are_refused_unchanged(tmp_path: Path, readonly: bool) -> None:
    text, other = tmp_path / "text.sqlite", tmp_path / "other.sqlite"
    text.write_text("not a database, but long enough to be asked whether it is one" * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="recording"):
            Store(path, readonly=readonly)
        assert path.read_bytes() == before


def test_absent_recording_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Store(tmp_path / "r.sqlite", readonly=True)
    assert not (tmp_path / "r.sqlite").exists()


def test_path_with_special_characters_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a%3A?mode=memory#b" / "r 100%.sqlite"
    Store(path).close()
    assert path.is_file()
