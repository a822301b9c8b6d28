"""Fault switches: calls that the recorder fails on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from trialrun.recorder.replies import Reply, json_reply
from trialrun_hookspecs.errors import BadValue

__all__ = ["FAULTS_ROUTE", "MAX_FAULTS", "Fault", "FaultKind", "Faults", "ReplyLost"]

FAULTS_ROUTE = "trialrun/faults"
EXEMPT_PATHS = ("health", FAULTS_ROUTE)  # else a client could not clear the faults
LONGEST_S = 60.0
MAX_FAULTS = 1000

FaultKind = Literal["unavailable", "timeout", "drop", "cut", "refuse", "busy", "delay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the calls from `first` (counted from 1) through `last` (None: all that follow).

    unavailable: no reply, and the call has no effect. timeout: the same, after `seconds`. drop: the call has its
    effect, and the reply is lost. cut: the same, and half of the reply arrives. refuse: 503. busy: 429 with
    `Retry-After: retry_after`. delay: a normal reply, after `seconds`. With `route`, such as "logs", only calls at or
    below it fail; all calls are counted.
    """

    kind: FaultKind = "unavailable"
    first: int = 1
    last: int | None = None
    route: str = ""
    seconds: float = 0.05
    retry_after: int = 0

    def __post_init__(self) -> None:
        numbers = isinstance(self.first, int) and (self.last is None or isinstance(self.last, int))
        timed = all(isinstance(each, int | float) for each in (self.seconds, self.retry_after))
        if self.kind not in get_args(FaultKind) or not isinstance(self.route, str) or not (numbers and timed):
            fix = f"Use a kind of {', '.join(get_args(FaultKind))}; first and last are numbers of calls."
            raise BadValue("must be a fault", where="a fault", got=str(self.kind)[:80], fix=fix)
        if not 0 <= self.seconds <= LONGEST_S or not 0 <= self.retry_after <= 3600:
            raise BadValue(f"must wait from 0 to {LONGEST_S:g} seconds", where="a fault", got=str(self.seconds))

    def applies_to(self, number: int, path: str) -> bool:
        """Return whether call `number` to `path` fails."""
        here = not self.route or f"{path}/".startswith(f"{self.route.strip('/')}/")
        return here and self.first <= number and (self.last is None or number <= self.last)


class ReplyLost(ConnectionError):
    """The caller gets no reply, or a part of the reply `half`."""

    def __init__(self, half: Reply | None = None) -> None:
        super().__init__("the connection was closed by a fault switch")
        self.half = half


class Faults:
    """The fault switches of a recorder, safe for concurrent threads.

    `calls` lists all calls, `struck` the number and the fault kind of those that failed.
    """

    def __init__(
        self,
        plan: Iterable[Fault] = (),
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.plan = list(plan)
        self.calls: list[str] = []
        self.struck: list[tuple[int, FaultKind]] = []
        self._sleep = sleep
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            if len(self.plan) >= MAX_FAULTS:
                raise BadValue(f"holds at most {MAX_FAULTS}", where="the fault switches", fix="Clear them first.")
            self.plan.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self.plan.clear()

    def reset_count(self) -> None:
        """Count calls from 1 again; `struck` stays."""
        with self._lock:
            self.calls = []

    def intercept_call(self, method: str, path: str, serve: Callable[[], Reply]) -> Reply:
        """Return the reply of `serve`, or that of the fault of this call. Raises ReplyLost."""
        fault = self._register_call(method, path)
        if fault is None:
            return serve()
        if fault.kind in ("timeout", "delay"):
            self._sleep(fault.seconds)
        if fault.kind in ("unavailable", "timeout"):
            raise ReplyLost
        if fault.kind == "refuse":
            return json_reply(503, {"detail": "recorder: out of order, by a fault switch."})
        if fault.kind == "busy":
            detail = {"detail": "recorder: too many calls, by a fault switch."}
            return json_reply(429, detail, Retry_After=str(fault.retry_after))
        reply = serve()
        if fault.kind == "delay":
            return reply
        raise ReplyLost(reply if fault.kind == "cut" else None)

    def _register_call(self, method: str, path: str) -> Fault | None:
        if path in EXEMPT_PATHS:
            return None
        with self._lock:
            self.calls.append(f"{method} {path}")
            number = len(self.calls)
            found = next((fault for fault in self.plan if fault.applies_to(number, path)), None)
            if found is not None:
                self.struck.append((number, found.kind))
        return found
