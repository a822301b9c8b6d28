"""A transport that tries again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from uuid import uuid4

from trialrun.backend.transport import Answer, Call, Transport
from trialrun_hookspecs.errors import BackendUnavailable

__all__ = ["Retry", "RetryPolicy", "parse_retry_after"]

SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long: the n-th pause is drawn from 0 to min(`longest`, `first` * 2**n), all in seconds.

    No try begins later than `total` after the first one.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 20.0
    total: float = 90.0

    def compute_delay(self, tried: int, draw: float) -> float:
        """Seconds to wait after `tried` tries (at least 1), by `draw` from [0, 1): full jitter."""
        return draw * min(self.longest, self.first * 2.0 ** min(tried, 64))


class Retry:
    """Sends a call again when there was no answer, or one that may be better later (5xx, 429, 408).

    Every try carries the same `Idempotency-Key`; a call that writes gets one if it has none. After the last try it
    gives that try's answer or raises its BackendUnavailable. A `Retry-After` is waited for; one that is longer than
    what is left of the time ends the tries. Pass the `wait` of a `threading.Event` as `sleep` to cut pauses short.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        patience: RetryPolicy | None = None,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._inner = inner
        self._patience = patience or RetryPolicy()
        self._sleep, self._draw, self._clock, self._now = sleep, draw, clock, now

    def send(self, call: Call) -> Answer:
        if call.key is None and call.method not in SAFE_METHODS:
            call = replace(call, key=uuid4().hex)
        end = self._clock() + self._patience.total
        tried = 0
        while True:
            result = self._try_send(call)
            tried += 1
            if isinstance(result, Answer) and not result.retryable:
                return result
            pause = self._compute_pause(result, tried)
            if tried >= self._patience.attempts or self._clock() + pause > end:
                break
            self._sleep(pause)
        if isinstance(result, Answer):
            return result
        raise result

    def close(self) -> None:
        self._inner.close()

    def _try_send(self, call: Call) -> Answer | BackendUnavailable:
        try:
            return self._inner.send(call)
        except BackendUnavailable as error:
            return error

    def _compute_pause(self, result: Answer | BackendUnavailable, tried: int) -> float:
        asked = parse_retry_after(result, self._now()) if isinstance(result, Answer) else result.retry_after
        return max(asked or 0.0, self._patience.compute_delay(tried, self._draw()))


def parse_retry_after(answer: Answer, now: float | None = None) -> float | None:
    """Seconds that `Retry-After` asks for, never negative; None when it is absent or unreadable.

    A date counts from the answer's own `Date`, else from `now` (Unix time): the backend's clock may be another.
    """
    text = (answer.get_header("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _parse_http_date(text)
    if until is None:
        return None
    since = _parse_http_date(answer.get_header("Date") or "")
    since = now if since is None else since
    return None if since is None else max(0.0, until - since)


def _parse_http_date(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
