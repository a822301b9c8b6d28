"""Tests of `trialrun.backend.ledger`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.backend import ledger as module
from trialrun.backend.ledger import Ledger, ack_dead_letters, read_dead_letters, take_dead_letters
from trialrun.backend.outbox import Batch, Outbox, RefusedEvent
from trialrun.run_dir.spool import SpoolWriter
from trialrun.trials import Coalescer
from trialrun_hookspecs.errors import UsageError
from trialrun_hookspecs.event import Event, Kind

KEYS = st.tuples(st.sampled_from(["a-driver", "a-t1-0", "a-t1-1"]), st.integers(0, 30)).map(lambda k: f"{k[0]}-{k[1]}")
CHANNELS: list[Any] = ["entries", "patch"]


def event(number: int, kind: Kind = "metric", trial: str = "t1") -> Event:
    data = {"n": number, "status": number, "category": "train", "current": number, "total": 99, "overall": 0.0}
    return Event(kind=kind, data=data, job_id=7, key=f"a-{trial}-0-{number}", time="2026-01-01T00:00:00+00:00")


def batch(*keys: str, patch: bool = False) -> Batch:
    made = tuple(Event(kind="metric", key=key) for key in keys)
    return Batch(events=made, key="k", covers=keys, fields={} if patch else None)


@given(done=st.lists(st.tuples(st.sampled_from(CHANNELS), st.lists(KEYS, max_size=6)), max_size=12))
def test_a_ledger_opened_again_knows_exactly_what_arrived(done: list[tuple[Any, list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder)) as ledger:
            for channel, keys in done:
                ledger.record_attempt(batch(*keys, patch=channel == "patch"))
                ledger.record_delivery(batch(*keys, patch=channel == "patch"))
        with Ledger(Path(folder)) as again:
            assert again.unanswered is None
            for channel in CHANNELS:
                expected = {key for of, keys in done for key in keys if of == channel}
                found = {f"{p}-{n}" for p in ("a-driver", "a-t1-0", "a-t1-1") for n in range(32)}
                assert {key for key in found if again.is_answered(channel, key)} == expected


@pytest.mark.parametrize("key", ["", "word", "-", "a-1x", "a-" + "9" * 30])
def test_keys_of_another_form_are_never_there(tmp_path: Path, key: str) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_delivery(batch(key))
        assert not ledger.is_answered("entries", key)


def test_what_was_not_answered_is_found_in_its_order(tmp_path: Path) -> None:
    keys = ["a-driver-3", "a-t1-0-1", "a-t1-0-2", "a-driver-4"]
    with Ledger(tmp_path) as ledger:
        ledger.record_attempt(batch(*keys))
    with Ledger(tmp_path) as again:
        assert again.unanswered == ("entries", keys)


def test_a_second_sender_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path), pytest.raises(UsageError, match="another process"):
        Ledger(tmp_path)
    Ledger(tmp_path).close()


def test_backends_are_told_apart(tmp_path: Path) -> None:
    with Ledger(tmp_path) as own:
        own.record_delivery(batch("a-t-0-1"))
    with Ledger(tmp_path, "http://host/api/") as other:
        assert not other.is_answered("entries", "a-t-0-1")


def test_a_long_ledger_is_written_in_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_AT", 20)
    with Ledger(tmp_path, "http://host/") as ledger:
        for number in range(500):
            ledger.record_attempt(batch(f"a-t-0-{number}"))
            ledger.record_delivery(batch(f"a-t-0-{number}"))
    (path,) = (tmp_path / "sent").glob("*.jsonl")
    assert len(path.read_text().splitlines()) <= 25
    assert '"http://host/"' in path.read_text().splitlines()[0]
    with Ledger(tmp_path, "http://host/") as again:
        assert all(again.is_answered("entries", f"a-t-0-{number}") for number in range(500))
        assert not again.is_answered("entries", "a-t-0-500")


def test_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "refused.jsonl").symlink_to("/dev/full")
    with Ledger(tmp_path) as ledger:
        ledger._writer.close()
        ledger._writer = SpoolWriter(tmp_path / "sent" / "recorder.jsonl", limit=1)
        ledger.record_attempt(batch("a-t-0-1"))
        ledger.record_delivery(batch("a-t-0-1"))
        ledger.record_refusal(RefusedEvent(event=event(3), reason="no"))
        assert ledger.is_answered("entries", "a-t-0-1")
    with Ledger(tmp_path) as again:
        assert not again.is_answered("entries", "a-t-0-1")


def test_dead_letters_come_back_whole(tmp_path: Path) -> None:
    refused = RefusedEvent(event=event(3), reason="400 bad", channel="entries")
    with Ledger(tmp_path) as ledger:
        ledger.record_refusal(refused)
        assert ledger.is_answered("entries", refused.event.key)
    assert read_dead_letters(tmp_path) == [refused]


def test_dead_letters_of_a_retry_that_was_cut_short_are_found_once(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_refusal(RefusedEvent(event=event(1), reason="no"))
        assert len(take_dead_letters(tmp_path)) == 1
        ledger.record_refusal(RefusedEvent(event=event(2), reason="no"))
        ledger.record_refusal(RefusedEvent(event=event(1), reason="still no"))
    assert [letter.event.data["n"] for letter in take_dead_letters(tmp_path)] == [1, 2]
    ack_dead_letters(tmp_path)
    assert read_dead_letters(tmp_path) == []


def test_a_ledger_cut_at_any_byte_claims_nothing_that_did_not_arrive(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number in range(4):
            ledger.record_attempt(batch(f"a-t-0-{number}", f"b-t-0-{number}"))
            ledger.record_delivery(batch(f"a-t-0-{number}", f"b-t-0-{number}"))
    path = tmp_path / "sent" / "recorder.jsonl"
    whole = path.read_bytes()
    before = -1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Ledger(tmp_path) as again:
            there = [again.is_answered("entries", f"a-t-0-{number}") for number in range(5)]
            count = sum(there)
            assert there == [True] * count + [False] * (5 - count)
            assert count >= before
            again.record_delivery(batch("a-t-0-4"))  # a torn line spoils none after it
        with Ledger(tmp_path) as once_more:
            assert once_more.is_answered("entries", "a-t-0-4")
        before = count
    assert before == 4


class Platform:
    """Handles a call with a known Idempotency-Key once, and ignores keys of entries. `bad` entries are refused."""

    def __init__(self, bad: frozenset[int]) -> None:
        self._bad = bad
        self._seen: set[str] = set()
        self.entries: list[int] = []
        self.patches: list[dict[str, Any]] = []

    def take(self, sent: Batch) -> bool:
        if sent.key in self._seen:
            return True
        if any(entry["data"]["n"] in self._bad for entry in sent.entries):
            return False
        self._seen.add(sent.key)
        self.entries += [entry["data"]["n"] for entry in sent.entries]
        if sent.fields is not None:
            self.patches.append(dict(sent.fields))
        return True


class Died(Exception):
    pass


def sender(folder: Path, spooled: list[Event], platform: Platform, steps: int, max_batch: int) -> None:
    """Run a sender over the spool that dies after so many steps: before a call, after it, or after it was recorded."""

    def dies_at(count: int) -> Callable[[], None]:
        left = iter(range(count))

        def step() -> None:
            if next(left, None) is None:
                raise Died

        return step

    step = dies_at(steps)
    with Ledger(folder, "http://platform/") as ledger:
        box = Outbox(
            lambda e: {"event": e.kind, "data": dict(e.data)},
            recorder=False,
            throttle=Coalescer(lambda: 0.0),
            max_batch=max_batch,
            arrived=ledger.is_answered,
        )
        if ledger.unanswered is not None:
            channel, keys = ledger.unanswered
            by_key = {each.key: each for each in spooled}
            box.put_first(channel, [by_key[key] for key in keys])
        for each in spooled:
            box.put(each)
        told = 0
        while sent := box.next_batch(0.0, force=True):
            step()
            ledger.record_attempt(sent)
            step()
            taken = platform.take(sent)
            step()
            if taken:
                box.ack()
                ledger.record_delivery(sent)
            else:
                box.refuse_batch("400")
                for refused in box.refused[told:]:
                    ledger.record_refusal(refused)
                told = len(box.refused)


@given(
    lives=st.lists(st.integers(0, 14), max_size=12),
    kinds=st.lists(st.sampled_from(["metric", "message", "status", "progress"]), max_size=25),
    bad=st.frozensets(st.integers(0, 25), max_size=2),
    max_batch=st.integers(1, 8),
    growing=st.booleans(),
)
@example(lives=[2], kinds=["metric"] * 10, bad=frozenset(), max_batch=8, growing=True)
def test_a_sender_may_die_at_any_moment(
    lives: list[int], kinds: list[Kind], bad: frozenset[int], max_batch: int, growing: bool
) -> None:
    spooled = [event(number, kind) for number, kind in enumerate(kinds)]
    platform = Platform(bad)
    with tempfile.TemporaryDirectory() as folder:
        for life, steps in enumerate(lives):
            seen = spooled[: (life + 1) * 4] if growing else spooled
            try:
                sender(Path(folder), seen, platform, steps, max_batch)
            except Died:
                continue
        sender(Path(folder), spooled, platform, 10_000, max_batch)
        plain = [number for number, kind in enumerate(kinds) if kind in ("metric", "message")]
        assert platform.entries == [number for number in plain if number not in bad]
        assert sorted(letter.event.data["n"] for letter in read_dead_letters(Path(folder))) == sorted(set(plain) & bad)
        statuses = [patch["status"] for patch in platform.patches if "status" in patch]
        assert statuses == [number for number, kind in enumerate(kinds) if kind == "status"]
        before = list(platform.entries), list(platform.patches)
        sender(Path(folder), spooled, platform, 10_000, max_batch)
        assert (platform.entries, platform.patches) == before
