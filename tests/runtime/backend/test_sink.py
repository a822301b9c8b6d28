"""Tests of `trialrun.backend.sink`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trialrun.backend import Answer, Call, Client, LogSink, Memory, RetryPolicy
from trialrun.trials import Coalescer
from trialrun_hookspecs.errors import BackendUnavailable
from trialrun_hookspecs.event import Event, Kind

LONG = 20.0
QUICK = RetryPolicy(first=0.001, longest=0.002)


def entry(event: Event) -> dict[str, Any]:
    return {"event": event.kind, "data": dict(event.data), "datetime": event.time, "job": event.job_id}


def event(kind: Kind, number: Any = 0, **data: Any) -> Event:
    return Event(kind=kind, data={"n": number, **data}, job_id=7, key=f"{kind}-{number}")


class Backend:
    """Stores what arrives, once per Idempotency-Key, and refuses a list with a bad entry as a whole.

    `weather` tells the fate of each call in turn, then all is well: "down" (not read), "lost" (read, no answer), or a
    status to answer with.
    """

    def __init__(self, *weather: str | int, recorder: bool = True, bad: frozenset[Any] = frozenset()) -> None:
        self._weather, self._recorder, self._bad = list(weather), recorder, bad
        self._keys: set[str] = set()
        self.entries: list[dict[str, Any]] = []
        self.patches: list[dict[str, Any]] = []
        self.sizes: list[int] = []

    def __call__(self, call: Call) -> Answer:
        fate = self._weather.pop(0) if self._weather else "good"
        if fate == "down":
            raise BackendUnavailable("down")
        if isinstance(fate, int):
            return Answer(status=fate)
        given = self._serve(call)
        if fate == "lost":
            raise BackendUnavailable("lost")
        return given

    def _serve(self, call: Call) -> Answer:
        if call.path == "trialrun/":
            return Answer(status=200 if self._recorder else 404, body=b'{"recorder": "trialrun"}')
        key = call.headers["Idempotency-Key"]
        if key in self._keys:
            return Answer(status=200)
        if call.path == "logs/":
            self.sizes.append(len(call.json))
            if any(entry["data"]["n"] in self._bad for entry in call.json):
                return Answer(status=400, body=b'{"data": "bad entry"}')
            self.entries += call.json
        else:
            assert (call.method, call.path) == ("PATCH", "jobs/7/")
            self.patches.append(call.json)
        self._keys.add(key)
        return Answer(status=200)

    @property
    def numbers(self) -> list[Any]:
        return [entry["data"]["n"] for entry in self.entries]


def sink(handler: Callable[[Call], Answer], **options: Any) -> LogSink:
    return LogSink(Client(Memory(handler)), entry=entry, **{"interval": 0.001, "retry_policy": QUICK, **options})


WEATHER = st.lists(st.sampled_from(["good", "down", "lost", 500, 503, 429, 401, 403]), max_size=12)


@settings(max_examples=60)
@given(
    weather=WEATHER,
    puts=st.lists(st.integers(1, 9), max_size=8),
    bad=st.frozensets(st.integers(0, 40), max_size=4),
    recorder=st.booleans(),
    max_batch=st.integers(1, 12),
)
@example(weather=["good", "lost", "down"], puts=[3], bad=frozenset({1}), recorder=False, max_batch=10)
def test_each_event_arrives_once_in_order_in_any_weather(
    weather: list[str | int], puts: list[int], bad: frozenset[int], recorder: bool, max_batch: int
) -> None:
    backend = Backend(*weather, recorder=recorder, bad=bad)
    with sink(backend, max_batch=max_batch) as queue:
        number = 0
        for count in puts:
            for _ in range(count):
                queue.put(event("metric", number))
                number += 1
            queue.flush(0.002)
        assert queue.flush(LONG)
    assert backend.numbers == [n for n in range(number) if n not in bad]
    assert [refused.event.data["n"] for refused in queue.refused_events] == [n for n in range(number) if n in bad]
    assert all(size <= max_batch for size in backend.sizes)
    assert queue.pending_count == 0
    assert queue.total_delivered == len(backend.entries)


@settings(max_examples=30)
@given(weather=WEATHER, statuses=st.lists(st.sampled_from(["RUNNING", "STOPPED"]), max_size=5))
def test_patches_arrive_once_in_order_in_any_weather(weather: list[str | int], statuses: list[str]) -> None:
    backend = Backend(*weather, recorder=False)
    with sink(backend) as queue:
        for number, status in enumerate(statuses):
            queue.put(event("status", number, status=status))
        queue.put(event("result", model_id=3))
    assert backend.patches == [{"status": status} for status in statuses] + [{"result": {"n": 0, "model_id": 3}}]


def test_many_threads_may_put() -> None:
    backend = Backend()
    with sink(backend, max_batch=50) as queue:

        def work(thread: int) -> None:
            for n in range(500):
                queue.put(event("metric", f"{thread}-{n}"))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(backend.numbers) == 2000
    for thread_number in range(4):
        own = [name for name in backend.numbers if name.startswith(f"{thread_number}-")]
        assert own == [f"{thread_number}-{n}" for n in range(500)]


def test_put_does_not_wait_for_the_network() -> None:
    release = threading.Event()
    backend = Backend()

    def stuck(call: Call) -> Answer:
        release.wait(LONG)
        return backend(call)

    queue = sink(stuck)
    begun = time.monotonic()
    for n in range(5000):
        queue.put(event("metric", n))
    assert time.monotonic() - begun < LONG / 4
    assert queue.pending_count == 5000
    release.set()
    queue.close(LONG)
    assert len(backend.numbers) == 5000


def test_events_go_out_without_a_flush() -> None:
    arrived = threading.Event()
    backend = Backend()

    def handler(call: Call) -> Answer:
        given = backend(call)
        if backend.entries:
            arrived.set()
        return given

    queue = sink(handler, interval=0.05)
    queue.put(event("metric", 1))
    assert arrived.wait(LONG)
    arrived.clear()
    queue.put(event("metric", 2))
    assert arrived.wait(LONG)
    queue.close()
    assert backend.numbers == [1, 2]


def test_what_is_put_within_the_interval_goes_together() -> None:
    backend = Backend()
    with sink(backend, interval=3600.0) as queue:
        for n in range(100):
            queue.put(event("metric", n))
    assert backend.sizes == [100]


def test_a_full_batch_does_not_wait_for_the_interval() -> None:
    full, asleep = threading.Event(), threading.Event()
    backend = Backend()
    here = threading.get_ident()

    def clock() -> float:
        if threading.get_ident() != here:
            asleep.set()  # as soon as it lets go of the lock, and `put` needs that
        return time.monotonic()

    def handler(call: Call) -> Answer:
        given = backend(call)
        if len(backend.entries) >= 10:
            full.set()
        return given

    queue = sink(handler, interval=3600.0, max_batch=10, clock=clock)
    assert asleep.wait(LONG)
    asleep.clear()
    queue.put(event("metric", 0))
    assert asleep.wait(LONG)  # now it waits for the interval to end
    for n in range(1, 10):
        queue.put(event("metric", n))
    assert full.wait(LONG)
    queue.close()


def test_a_queue_at_rest_uses_no_time() -> None:
    asked = 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        return time.monotonic()

    queue = sink(Backend(), clock=clock)
    queue.put(event("metric"))
    assert queue.flush(LONG)
    before = asked
    threading.Event().wait(0.2)
    assert asked - before <= 3
    queue.close()


def test_an_outage_uses_little_time() -> None:
    calls = 0

    def down(call: Call) -> Answer:
        nonlocal calls
        calls += 1
        raise BackendUnavailable("down")

    queue = sink(down, retry_policy=RetryPolicy(first=0.0, longest=0.0))
    queue.put(event("metric"))
    assert not queue.flush(0.5)
    assert 2 <= calls <= 30
    queue.close(0)


def test_a_flush_does_not_wait_for_the_next_try() -> None:
    up, tried = threading.Event(), threading.Event()
    backend = Backend()

    def handler(call: Call) -> Answer:
        if not up.is_set():
            tried.set()
            raise BackendUnavailable("down")
        return backend(call)

    queue = sink(handler, retry_policy=RetryPolicy(first=3600.0, longest=3600.0), draw=lambda: 1.0)
    queue.put(event("metric", 1))
    assert tried.wait(LONG)
    while queue.trouble is None:
        threading.Event().wait(0.001)
    up.set()
    assert queue.flush(LONG)
    queue.close()


def test_close_in_an_outage_counts_what_is_left() -> None:
    queue = sink(Backend(*["down"] * 10_000))
    for n in range(7):
        queue.put(event("metric", n))
    queue.close(0.2)
    assert queue.pending_count == 7
    assert "down" in str(queue.trouble)


def test_close_gives_up_on_a_call_that_hangs() -> None:
    release = threading.Event()

    def stuck(call: Call) -> Answer:
        release.wait(LONG)
        return Answer(status=404)

    queue = sink(stuck)
    queue.put(event("metric"))
    begun = time.monotonic()
    queue.close(0.05)
    assert time.monotonic() - begun < LONG / 4
    assert queue.pending_count == 1
    release.set()


def test_nothing_is_sent_after_close() -> None:
    backend = Backend()
    queue = sink(backend)
    queue.close()
    queue.put(event("metric"))
    assert not queue.flush(0.05)
    assert backend.entries == []
    assert queue.pending_count == 1


def test_close_may_be_repeated() -> None:
    queue = sink(Backend())
    queue.close()
    queue.close()
    assert queue.pending_count == 0


def test_trouble_ends_with_the_outage() -> None:
    queue = sink(Backend("good", "down", 401))
    queue.put(event("metric"))
    assert queue.flush(LONG)
    assert queue.trouble is None
    queue.close()


def test_retry_after_is_heeded() -> None:
    times: list[float] = []

    def handler(call: Call) -> Answer:
        times.append(time.monotonic())
        return Answer(status=200) if len(times) > 1 else Answer(status=429, headers={"Retry-After": "1"})

    queue = sink(handler)
    queue.put(event("metric"))
    queue.flush(LONG)
    queue.close()
    assert times[1] - times[0] >= 1.0


@pytest.mark.parametrize("body", [b"OK", b"", b"<html>", b"3"])
def test_what_an_accepting_answer_says_does_not_matter(body: bytes) -> None:
    backend = Backend()

    def handler(call: Call) -> Answer:
        given = backend(call)
        return given if call.method == "GET" else Answer(status=201, body=body)

    with sink(handler) as queue:
        queue.put(event("metric", 1))
        queue.put(event("status", 2, status="RUNNING"))
        assert queue.flush(LONG)
    assert (backend.numbers, backend.patches, queue.refused_events) == ([1, 2], [{"status": "RUNNING"}], ())


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_what_would_refuse_every_call_sets_nothing_aside(status: int) -> None:
    backend = Backend("good", status, recorder=False)
    with sink(backend) as queue:
        queue.put(event("metric", 5))
        assert queue.flush(LONG)
    assert (backend.numbers, queue.refused_events) == ([5], ())


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_a_patch_that_is_refused_blocks_nothing(status: int) -> None:
    backend = Backend("good", status, recorder=False)
    with sink(backend) as queue:
        queue.put(event("status", status="RUNNING"))
        queue.put(event("metric", 5))
    assert backend.numbers == [5]
    assert [refused.event.kind for refused in queue.refused_events] == ["status"]
    assert str(status) in queue.refused_events[0].reason


def test_a_value_that_json_cannot_say_is_set_aside() -> None:
    backend = Backend()
    with sink(backend) as queue:
        for number in (1, float("nan"), 3):
            queue.put(event("metric", number))
    assert backend.numbers == [1, 3]
    assert len(queue.refused_events) == 1


def test_a_bug_in_a_transport_ends_neither_thread_nor_queue() -> None:
    backend = Backend()
    faults = [ZeroDivisionError("bug"), KeyError()]

    def handler(call: Call) -> Answer:
        if faults and call.path == "logs/":
            raise faults.pop()
        return backend(call)

    with sink(handler) as queue:
        queue.put(event("metric", 1))
        assert queue.flush(LONG)
    assert backend.numbers == [1]


def test_the_last_table_arrives_at_the_platform() -> None:
    backend = Backend(recorder=False)
    with sink(backend, throttle=Coalescer(time.monotonic, min_interval=3600.0)) as queue:
        queue.put(event("trials", 0))
        assert queue.flush(LONG)
        for n in range(1, 50):
            queue.put(event("trials", n))
            queue.put(event("metric", f"m{n}"))
    assert [n for n in backend.numbers if isinstance(n, int)] == [0, 49]


def test_a_held_table_goes_out_when_its_time_comes() -> None:
    both = threading.Event()
    backend = Backend(recorder=False)

    def handler(call: Call) -> Answer:
        given = backend(call)
        if len(backend.entries) == 2:
            both.set()
        return given

    queue = sink(handler, throttle=Coalescer(time.monotonic, min_interval=0.2))
    queue.put(event("trials", 1))
    assert queue.flush(LONG)
    queue.put(event("trials", 2))
    assert both.wait(LONG)
    queue.close()
    assert backend.numbers == [1, 2]
