"""Tests of `trialrun.backend.outbox`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trialrun.backend.outbox import Batch, Outbox, progress_record
from trialrun.trials import Coalescer
from trialrun_hookspecs.event import Event, Kind

JOB = 7
PLATFORM_ENTRIES = ("metric", "visualization", "message")
KINDS: tuple[Kind, ...] = (
    "metric",
    "visualization",
    "message",
    "trials",
    "trials_delta",
    "trial_result",
    "progress",
    "status",
    "model",
    "result",
)


def entry(event: Event) -> dict[str, Any]:
    return {"event": event.kind, "data": dict(event.data), "datetime": event.time, "job": event.job_id}


def outbox(*, recorder: bool, **options: Any) -> Outbox:
    return Outbox(entry, recorder=recorder, throttle=Coalescer(lambda: 0.0), **options)


def event(kind: Kind, number: int = 0, job_id: int = JOB, **data: Any) -> Event:
    return Event(kind=kind, data={"n": number, **data}, job_id=job_id, key=f"{kind}-{number}")


def batches(box: Outbox, *, now: float = 0.0, force: bool = True) -> list[Batch]:
    """Return everything that is due, accepting each batch."""
    taken: list[Batch] = []
    while batch := box.next_batch(now, force=force):
        taken.append(batch)
        box.ack()
    return taken


def numbers(batch: Batch) -> list[int]:
    return [entry["data"]["n"] for entry in batch.entries]


@given(st.lists(st.sampled_from(KINDS)))
def test_the_recorder_gets_every_event_as_an_entry_with_its_key(kinds: list[Kind]) -> None:
    box = outbox(recorder=True)
    events = [event(kind, number) for number, kind in enumerate(kinds)]
    for each in events:
        box.put(each)
    entries = [entry for batch in batches(box) for entry in batch.entries]
    assert entries == [{**entry(each), "key": each.key} for each in events]


@given(st.lists(st.sampled_from(KINDS)))
def test_the_platform_gets_no_entry_that_it_does_not_know(kinds: list[Kind]) -> None:
    box = outbox(recorder=False)
    for number, kind in enumerate(kinds):
        box.put(event(kind, number))
    entries = [entry for batch in batches(box) for entry in batch.entries]
    plain = [entry["data"]["n"] for entry in entries if entry["event"] != "trials"]
    assert plain == [number for number, kind in enumerate(kinds) if kind in PLATFORM_ENTRIES]
    assert not any("key" in entry for entry in entries)


@given(st.lists(st.sampled_from(["metric", "status", "result", "progress", "trials"])), st.booleans())
def test_status_keeps_its_place_among_entries(kinds: list[Kind], recorder: bool) -> None:
    box = outbox(recorder=recorder)
    for number, kind in enumerate(kinds):
        box.put(event(kind, number, status=number))
    seen: list[int] = []
    for batch in batches(box):
        if batch.fields is None:
            seen += [entry["data"]["n"] for entry in batch.entries if entry["event"] == "metric"]
        elif "progress_record" not in batch.fields:
            seen.append(batch.events[0].data["n"])
    assert seen == [number for number, kind in enumerate(kinds) if kind in ("metric", "status", "result")]


def test_progress_goes_out_before_the_status_that_follows_it() -> None:
    box = outbox(recorder=False)
    box.put(event("progress", 1, category="train", current=1, total=1, overall=1.0))
    box.put(event("status", 2, status="SUCCEEDED"))
    assert [list(batch.fields or {}) for batch in batches(box)] == [["progress_record"], ["status"]]


def test_a_held_table_goes_out_before_the_status_that_follows_it() -> None:
    box = outbox(recorder=False)
    box.put(event("trials", 1))
    batches(box)
    box.put(event("trials", 2))
    box.put(event("status", 3, status="SUCCEEDED"))
    table, status = batches(box, force=False)
    assert numbers(table) == [2]
    assert status.fields == {"status": "SUCCEEDED"}


def test_only_the_newest_progress_of_each_category_goes_out() -> None:
    box = outbox(recorder=False)
    for n in range(5):
        box.put(event("progress", n, category="train", current=n, total=8, overall=n / 10, eta_s=9.5 - n))
        box.put(event("progress", 10 + n, category="dataset", current=1, total=1, overall=0.2 + n / 10))
    (batch,) = batches(box)
    assert (batch.job_id, batch.fields) == (
        JOB,
        {
            "progress_record": {
                "overall": 60.0,
                "categories": {
                    "train": {"current": 4, "total": 8, "progress": 50.0},
                    "dataset": {"current": 1, "total": 1, "progress": 100.0},
                },
            }
        },
    )


def test_time_remaining_is_given_when_it_is_known() -> None:
    assert progress_record({}, {"overall": 0.5, "eta_s": 3.0})["time_remaining"] == 3.0


@given(st.integers(0, 9), st.integers(0, 9))
def test_percentages_stay_between_0_and_100(current: int, total: int) -> None:
    record = progress_record({"c": {"current": current, "total": total}}, {"overall": 0.0})
    assert 0.0 <= record["categories"]["c"]["progress"] <= 100.0


def test_tables_for_the_platform_are_held_by_the_throttle() -> None:
    box = outbox(recorder=False)
    box.put(event("trials", 1))
    assert [numbers(batch) for batch in batches(box, now=0.0, force=False)] == [[1]]
    for n in (2, 3):
        box.put(event("trials", n))
    assert batches(box, now=0.3, force=False) == []
    assert box.seconds_until_due(0.3) == 0.2
    assert [numbers(batch) for batch in batches(box, now=0.5, force=False)] == [[3]]
    assert box.seconds_until_due(0.5) is None


def test_tables_of_two_jobs_do_not_replace_each_other() -> None:
    box = outbox(recorder=False)
    box.put(event("trials", 1, job_id=1))
    box.put(event("trials", 2, job_id=2))
    assert sorted(numbers(batch)[0] for batch in batches(box)) == [1, 2]


def test_a_batch_is_bounded_by_the_bytes_of_its_images() -> None:
    box = outbox(recorder=False, max_bytes=100)
    for size in (60, 30, 30, 500, 1):
        box.put(Event(kind="visualization", file="x" * size))
    assert [[len(each.file or "") for each in batch.events] for batch in batches(box)] == [[60, 30], [30], [500], [1]]


def test_an_event_that_cannot_be_written_spoils_no_other() -> None:
    def picky(given: Event) -> dict[str, Any]:
        return {"n": 10 // given.data["n"]}

    box = Outbox(picky, recorder=False, throttle=Coalescer(lambda: 0.0))
    for n in (5, 0, 2):
        box.put(event("metric", n))
    (batch,) = batches(box)
    assert [entry["n"] for entry in batch.entries] == [2, 5]
    assert [(refused.event.data["n"], "zero" in refused.reason) for refused in box.refused] == [(0, True)]


def test_a_progress_that_cannot_be_written_is_set_aside() -> None:
    box = outbox(recorder=False)
    box.put(event("progress", 1, category="train", current=None, total=3, overall=0.5))
    assert batches(box) == []
    assert [refused.event.kind for refused in box.refused] == ["progress"]


def test_equal_events_make_equal_keys() -> None:
    first, second = outbox(recorder=True), outbox(recorder=True)
    for box in (first, second):
        box.put(event("metric", 1))
        box.put(event("status", 2, status="RUNNING"))
    assert [batch.key for batch in batches(first)] == [batch.key for batch in batches(second)]


def test_events_without_keys_make_keys_of_their_own() -> None:
    box = outbox(recorder=True, max_batch=1)
    box.put(Event(kind="metric"))
    box.put(Event(kind="metric"))
    assert len({batch.key for batch in batches(box)}) == 2


class Delivery(RuleBasedStateMachine):
    """Puts, deliveries, outages and refusals in any order: good events arrive once, in order; bad ones are refused."""

    @initialize(recorder=st.booleans(), max_batch=st.integers(1, 6))
    def begin(self, recorder: bool, max_batch: int) -> None:
        self.box = outbox(recorder=recorder, max_batch=max_batch)
        self.put_count = 0
        self.arrived: list[int] = []
        self.bad: set[int] = set()

    @rule(good=st.lists(st.booleans(), max_size=10))
    def put(self, good: list[bool]) -> None:
        for each in good:
            self.put_count += 1
            if not each:
                self.bad.add(self.put_count)
            self.box.put(event("metric", self.put_count))

    @rule()
    def outage(self) -> None:
        """The call got no answer: the next batch is the same one."""
        assert self.box.next_batch(0.0) is self.box.next_batch(0.0)

    @rule()
    def answer(self) -> None:
        batch = self.box.next_batch(0.0)
        if batch is None:
            return
        if self.bad & set(numbers(batch)):
            self.box.refuse_batch("bad entry")
        else:
            self.arrived += numbers(batch)
            self.box.ack()

    @precondition(lambda self: self.box.pending_count == 0)
    @rule()
    def finished(self) -> None:
        assert self.arrived == [n for n in range(1, self.put_count + 1) if n not in self.bad]
        assert {refused.event.data["n"] for refused in self.box.refused} == self.bad

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "box"):
            assert len(self.arrived) + len(self.box.refused) + self.box.pending_count == self.put_count
            assert self.arrived == sorted(set(self.arrived))

    def teardown(self) -> None:
        while hasattr(self, "box") and self.box.pending_count:
            self.answer()
        if hasattr(self, "box"):
            self.finished()


TestDelivery = Delivery.TestCase
