"""Tests of `trialrun.backend.retry`."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.backend import Answer, Call, Memory, Retry, RetryPolicy
from trialrun.backend.retry import parse_retry_after
from trialrun_hookspecs.errors import BackendUnavailable

NOW = 1_700_000_000.0
Outcome = Answer | None  # None: no answer


class Time:
    """A clock that moves during sleeps and slow calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Flaky:
    """Returns the outcomes in turn, then the last one always; keeps the calls."""

    def __init__(self, *outcomes: Outcome, takes: Callable[[], None] = lambda: None) -> None:
        self._outcomes, self._takes = outcomes, takes
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Answer:
        outcome = self._outcomes[min(len(self.calls), len(self._outcomes) - 1)]
        self.calls.append(call)
        self._takes()
        if outcome is None:
            raise BackendUnavailable("no answer")
        return outcome


def retry(flaky: Flaky, time: Time, policy: RetryPolicy | None = None, draw: float = 1.0) -> Retry:
    return Retry(
        Memory(flaky),
        retry_policy=policy,
        sleep=time.sleep,
        draw=lambda: draw,
        clock=lambda: time.now,
        now=lambda: NOW + time.now,
    )


GOOD = Answer(status=200)
LATER: st.SearchStrategy[Outcome] = st.none() | st.sampled_from([408, 429, 500, 502, 503]).map(
    lambda status: Answer(status=status)
)
WRITE = Call(method="POST", path="logs/", json=[])


@given(st.lists(LATER, max_size=8), st.integers(1, 8))
def test_it_tries_until_an_answer_or_the_last_attempt(failures: list[Outcome], attempts: int) -> None:
    flaky, time = Flaky(*failures, GOOD), Time()
    sender = retry(flaky, time, RetryPolicy(attempts=attempts, total=1e9))
    if len(failures) < attempts:
        assert sender.send(WRITE) == GOOD
        assert len(flaky.calls) == len(failures) + 1
        return
    last = failures[attempts - 1]
    if last is None:
        with pytest.raises(BackendUnavailable):
            sender.send(WRITE)
    else:
        assert sender.send(WRITE) == last
    assert len(flaky.calls) == attempts
    assert len(time.slept) == attempts - 1


@given(st.lists(LATER, min_size=1, max_size=5), st.sampled_from([None, "mine"]))
def test_every_try_of_a_write_carries_one_key(failures: list[Outcome], key: str | None) -> None:
    flaky = Flaky(*failures, GOOD)
    retry(flaky, Time()).send(Call(method="PATCH", path="jobs/1/", json={}, key=key))
    keys = {call.headers["Idempotency-Key"] for call in flaky.calls}
    assert len(keys) == 1
    assert keys == {key} or key is None


def test_two_writes_get_two_keys() -> None:
    flaky = Flaky(GOOD)
    sender = retry(flaky, Time())
    sender.send(WRITE)
    sender.send(WRITE)
    assert len({call.key for call in flaky.calls}) == 2


def test_a_read_needs_no_key() -> None:
    flaky = Flaky(GOOD)
    retry(flaky, Time()).send(Call(method="GET", path="models/"))
    assert flaky.calls[0].key is None


@pytest.mark.parametrize("status", [*range(200, 205), 301, 400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 431])
def test_an_answer_that_will_not_change_is_taken_at_once(status: int) -> None:
    flaky, time = Flaky(Answer(status=status)), Time()
    assert retry(flaky, time).send(WRITE).status == status
    assert len(flaky.calls) == 1
    assert time.slept == []


@given(st.integers(1, 3000), st.floats(0, 1, exclude_max=True))
@example(2000, 0.5)  # 2.0 ** 2000 is no float
def test_pauses_are_drawn_below_a_doubling_ceiling(tried: int, draw: float) -> None:
    policy = RetryPolicy(first=0.5, longest=10.0)
    ceiling = 0.5 * 2.0 ** min(tried, 10)
    assert 0.0 <= policy.compute_delay(tried, draw) <= min(10.0, ceiling)
    assert policy.compute_delay(tried, 0.5) <= policy.compute_delay(tried + 1, 0.5)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 20), st.floats(1, 60))
def test_no_try_begins_after_the_total_time(draw: float, takes: float, total: float) -> None:
    time = Time()
    begun: list[float] = []

    def slow() -> None:
        begun.append(time.now)
        time.now += takes

    sender = retry(Flaky(None, takes=slow), time, RetryPolicy(attempts=50, total=total), draw)
    with pytest.raises(BackendUnavailable):
        sender.send(WRITE)
    assert begun[-1] <= total


def test_retry_after_is_waited_for() -> None:
    time = Time()
    sender = retry(Flaky(Answer(status=429, headers={"retry-after": "7"}), GOOD), time)
    assert sender.send(WRITE) == GOOD
    assert time.slept == [7.0]


def test_retry_after_beyond_the_time_left_ends_the_tries() -> None:
    time = Time()
    flaky = Flaky(Answer(status=503, headers={"Retry-After": "3600"}), GOOD)
    assert retry(flaky, time).send(WRITE).status == 503
    assert time.slept == []


def test_retry_after_of_an_exception_is_waited_for() -> None:
    time = Time()

    class Busy(Flaky):
        def __call__(self, call: Call) -> Answer:
            try:
                return super().__call__(call)
            except BackendUnavailable as error:
                error.retry_after = 9.0
                raise

    assert retry(Busy(None, GOOD), time).send(WRITE) == GOOD
    assert time.slept == [9.0]


def test_retry_after_as_a_date_counts_from_the_backends_clock() -> None:
    headers = {"Retry-After": formatdate(5_000_030, usegmt=True), "Date": formatdate(5_000_000, usegmt=True)}
    assert parse_retry_after(Answer(status=503, headers=headers), NOW) == 30.0


@given(st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_counts_from_ours_without_one(ahead: int) -> None:
    answer = Answer(status=503, headers={"Retry-After": formatdate(NOW + ahead, usegmt=True)})
    assert parse_retry_after(answer, NOW) == max(0, ahead)
    assert parse_retry_after(answer) is None


@given(st.text())
@example("-5")
@example("²")
@example("Mon, 99 Foo 2024 99:99:99 GMT")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("9" * 400)
def test_any_retry_after_is_read_without_an_error(text: str) -> None:
    seconds = parse_retry_after(Answer(status=503, headers={"Retry-After": text}), NOW)
    assert seconds is None or seconds >= 0
