"""A transport that misbehaves by plan."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from trialrun.backend.transport import Answer, Call, Transport
from trialrun.testing.scenario import Fault
from trialrun_hookspecs.errors import BackendUnavailable

__all__ = ["Faulty"]

_TIMEOUT_S = 0.05  # what a time-out costs here


class Faulty:
    """Counts the calls of one job and spoils those that its plan names. `struck` says which it spoiled, and how."""

    def __init__(
        self,
        inner: Transport,
        faults: Sequence[Fault],
        *,
        in_plugin: Callable[[], bool],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._inner = inner
        self._faults = tuple(faults)
        self._in_plugin = in_plugin
        self._sleep = sleep
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.struck: list[tuple[int, str]] = []

    def send(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(str(call))
            number = len(self.calls)
        inside = self._in_plugin()
        fault = next((fault for fault in self._faults if fault.hits(number, in_plugin=inside)), None)
        if fault is None:
            return self._inner.send(call)
        self.struck.append((number, fault.kind))
        return self._spoilt(fault, call)

    def close(self) -> None:
        self._inner.close()

    def _spoilt(self, fault: Fault, call: Call) -> Answer:
        if fault.kind == "refuse":
            return Answer(status=503, body=b'{"detail": "out of order"}')
        if fault.kind == "busy":
            return Answer(status=429, body=b'{"detail": "too many calls"}', headers={"Retry-After": "0"})
        if fault.kind == "timeout":
            self._sleep(_TIMEOUT_S)
            raise BackendUnavailable("it must answer in time", where=str(call), got="a time-out")
        if fault.kind == "drop":
            self._inner.send(call)
            raise BackendUnavailable("its answer must arrive", where=str(call), got="a connection that was dropped")
        raise BackendUnavailable("it must answer", where=str(call), got="no connection")
