"""A state machine of delivery: over any carrier and network, accepted events arrive once, in order per trial."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from trialrun import events
from trialrun.backend import Client, Http, LogSink, Memory, Retry, RetryPolicy, Tokens, Transport
from trialrun.backend.ledger import Ledger
from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer
from trialrun.run_dir.spool import SpoolWriter
from trialrun_hookspecs.errors import BackendUnavailable
from trialrun_hookspecs.event import Event

QUICK = RetryPolicy(attempts=3, first=0.0005, longest=0.001)
TRIALS = ["t0", "t1", None]
KINDS: list[Any] = ["unavailable", "timeout", "drop", "cut", "refuse", "busy", "delay"]
LONG = 60.0


@pytest.fixture(scope="module")
def listening() -> Iterator[HttpServer]:
    with Recorder() as unused, unused.server() as server:
        yield server


class Delivery(RuleBasedStateMachine):
    """`carrier`: call sends each entry until it is answered; sink queues them; spool writes them to disk first."""

    listening: ClassVar[HttpServer]
    over_http = False
    retrying = False
    carrier = "call"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.recorder = Recorder(self.folder / "recorder.sqlite")
        self.recorder.create_job("job", {}, job_id=1)
        self.listening.recorder = self.recorder
        self.accepted: dict[str | None, list[int]] = {trial: [] for trial in TRIALS}
        self.statuses: list[str] = []
        self.number = 0
        self.begin()

    def transport(self) -> Transport:
        door: Transport = Memory(self.recorder.handler())
        if self.over_http:
            door = Http(self.listening.url, Tokens(access=self.listening.token))
        return Retry(door, retry_policy=QUICK, sleep=lambda seconds: None) if self.retrying else door

    def begin(self) -> None:
        self.client = Client(self.transport())
        if self.carrier == "call":
            return
        ledger = Ledger(self.folder) if self.carrier == "spool" else None
        self.ledger = ledger
        self.sink = LogSink(
            self.client,
            entry=events.to_log_entry,
            interval=0.0005,
            max_batch=4,
            retry_policy=QUICK,
            delivery_log=ledger,
        )
        if ledger is not None:
            self.go_on(ledger)
            self.spool = SpoolWriter(self.folder / "spool.jsonl")

    def go_on(self, ledger: Ledger) -> None:
        path = self.folder / "spool.jsonl"
        spooled = [events.from_line(line) for line in path.read_text().splitlines()] if path.exists() else []
        if ledger.unanswered is not None:
            channel, keys = ledger.unanswered
            by_key = {event.key: event for event in spooled}
            self.sink.put_first(channel, [by_key[key] for key in keys])
        for event in spooled:
            self.sink.put(event)

    def send(self, event: Event, trial: str | None) -> None:
        self.number += 1
        time = f"2026-01-01T00:00:{self.number % 60:02d}+00:00"
        stamped = events.stamp_event(
            event, job_id=1, trial_id=trial, key=f"r-{self.number}", seq=self.number, time=time
        )
        if self.carrier == "spool":
            self.spool.write(events.to_line(stamped))
        if self.carrier != "call":
            self.sink.put(stamped)
            return
        while True:
            try:
                if stamped.kind == "status":
                    self.client.patch_job(1, key=f"p-{stamped.key}", **stamped.data)
                else:
                    self.client.post_logs([{**events.to_log_entry(stamped), "key": stamped.key}], key=stamped.key)
                return
            except BackendUnavailable:
                self.recorder.heal()

    @rule(trial=st.sampled_from(TRIALS), count=st.integers(1, 6))
    def log(self, trial: str | None, count: int) -> None:
        for _ in range(count):
            self.accepted[trial].append(self.number)
            self.send(events.metric_event("training", "loss", self.number), trial)

    @rule(status=st.sampled_from(["RUNNING", "STOPPED"]))
    def change_status(self, status: str) -> None:
        self.statuses.append(status)
        self.send(events.status_event(status), None)

    @rule(
        kind=st.sampled_from([*KINDS, "drop"]),
        first=st.integers(1, 3),
        count=st.integers(1, 4) | st.none(),
        route=st.sampled_from(["", "logs", "jobs"]),
    )
    def fail(self, kind: Any, first: int, count: int | None, route: str) -> None:
        last = None if count is None else first + count - 1
        self.recorder.fail(kind, first=first, last=last, route=route, seconds=0.001)

    @rule()
    def heal(self) -> None:
        self.recorder.heal()

    @rule()
    def wait(self) -> None:
        if self.carrier != "call":
            self.sink.flush(0.05)

    @rule()
    def die(self) -> None:
        """A new process resumes from a spool; other carriers can only be closed."""
        self.end(LONG if self.carrier != "spool" else 0.001)
        self.begin()

    def end(self, timeout: float) -> None:
        if self.carrier != "call":
            if timeout == LONG:
                self.recorder.heal()
            self.sink.close(timeout)
            self.sink._thread.join(LONG)  # a killed process sends nothing more, a thread that hangs might
        if self.carrier == "spool":
            self.spool.close()
            assert self.ledger is not None
            self.ledger.close()
        self.client.close()

    @invariant()
    def nothing_is_doubled_or_out_of_order(self) -> None:
        for trial, numbers in self.accepted.items():
            there = [m["value"] for m in self.recorder.metrics() if m["trial_id"] == trial]
            assert there == numbers[: len(there)]

    def teardown(self) -> None:
        self.recorder.heal()
        self.end(LONG)
        for trial, numbers in self.accepted.items():
            assert [m["value"] for m in self.recorder.metrics() if m["trial_id"] == trial] == numbers
        assert [change["value"] for change in self.recorder.changes(1, "status")] == self.statuses
        self.recorder.close()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("over_http", [False, True], ids=["memory", "http"])
@pytest.mark.parametrize("retrying", [False, True], ids=["bare", "retry"])
@pytest.mark.parametrize("carrier", ["call", "sink", "spool"])
def test_every_stacking_delivers_once_in_order(
    listening: HttpServer, over_http: bool, retrying: bool, carrier: str
) -> None:
    facts = {"listening": listening, "over_http": over_http, "retrying": retrying, "carrier": carrier}
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        type("Stacked", (Delivery,), facts),
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=checks),
    )
