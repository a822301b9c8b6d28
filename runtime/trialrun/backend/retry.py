"""The transport that retries calls."""

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
    """The number and the pauses of attempts: the n-th pause is between 0 and min(`longest`, `first` * 2**n) seconds.

    No attempt begins later than `total` seconds after the first one.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 20.0
    total: float = 90.0

    def compute_delay(self, tried: int, draw: float) -> float:
        """Return the seconds to wait after `tried` attempts (at least 1), with full jitter: `draw` is from [0, 1)."""
        return draw * min(self.longest, self.first * 2.0 ** min(tried, 64))


class Retry:
    """Sends a call again after no answer, or a temporary one (5xx, 429, 408).

    Every attempt has the same `Idempotency-Key`; a call that writes gets one if it has none. The last attempt's answer
    is returned, or its BackendUnavailable raised. Pauses respect `Retry-After`; one beyond the remaining time ends the
    attempts. Pass the `wait` of a `threading.Event` as `sleep` to interrupt pauses.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        retry_policy: RetryPolicy | None = None,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._inner = inner
        self._retry_policy = retry_policy or RetryPolicy()
        self._sleep, self._draw, self._clock, self._now = sleep, draw, clock, now

    def send(self, call: Call) -> Answer:
        if call.key is None and call.method not in SAFE_METHODS:
            call = replace(call, key=uuid4().hex)
        end = self._clock() + self._retry_policy.total
        tried = 0
        while True:
            result = self._try_send(call)
            tried += 1
            if isinstance(result, Answer) and not result.retryable:
                return result
            pause = self._compute_pause(result, tried)
            if tried >= self._retry_policy.attempts or self._clock() + pause > end:
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
        requested = parse_retry_after(result, self._now()) if isinstance(result, Answer) else result.retry_after
        return max(requested or 0.0, self._retry_policy.compute_delay(tried, self._draw()))


def parse_retry_after(answer: Answer, now: float | None = None) -> float | None:
    """Return the seconds of `Retry-After`, never negative; None when it is absent or unreadable.

    A date is compared with the answer's own `Date`, else with `now` (Unix time): the backend's clock may differ.
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
