"""The promises of `trialrun.engine.event_bus`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trialrun import events, progress
from trialrun.backend import Answer, Call, Client, LogSink, Memory, RetryPolicy
from trialrun.backend.ledger import Ledger
from trialrun.engine.backends import Backend
from trialrun.engine.event_bus import EventBus
from trialrun.engine.flush import flush
from trialrun.job_run import EventEmitter
from trialrun.plugins import Manager
from trialrun.recorder import Recorder
from trialrun.run_dir.spool import SpoolWriter
from trialrun.run_dir.spool_reader import MergedSpools
from trialrun_hookspecs.event import Event

QUICK = RetryPolicy(first=0.001, longest=0.002)
LONG = 30.0


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        recorder.create_job("job", {}, job_id=1)
        yield recorder


class Run:
    """A bus with two trials that report, and a viewer."""

    def __init__(self, bus: EventBus, sink: LogSink, folder: Path, seen: list[Event]) -> None:
        self.bus, self.sink, self.seen = bus, sink, seen
        self.writers = {trial: SpoolWriter(folder / "spool" / f"{trial}.0.jsonl") for trial in ("t0", "t1")}
        self.emitters = {
            trial: EventEmitter(writer.write, job_id=1, trial_id=trial, prefix=f"r-{trial}-0")
            for trial, writer in self.writers.items()
        }

    def log(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            for emit in self.emitters.values():
                emit(events.metric_event("training", "loss", number))


@contextmanager
def running(folder: Path, handler: Any, max_waiting: int) -> Iterator[Run]:
    seen: list[Event] = []
    with Ledger(folder) as ledger:
        sink = LogSink(
            Client(Memory(handler)), entry=events.to_log_entry, interval=0.001, retry_policy=QUICK, delivery_log=ledger
        )
        bus = EventBus(
            MergedSpools(folder / "spool", by_trials=True),
            job_id=1,
            run_key="r",
            progress=progress.tuning_progress(),
            manager=Manager([]),
            sink=sink,
            viewers=[seen.append],
            max_waiting=max_waiting,
        )
        run = Run(bus, sink, folder, seen)
        yield run
        for writer in run.writers.values():
            writer.close()
        sink.close(0.1)


def values(recorder: Recorder, trial: str) -> list[Any]:
    return [metric["value"] for metric in recorder.metrics(trial_id=trial)]


@pytest.mark.parametrize("max_waiting", [1, 2_000, 1 << 20])
def test_an_outage_is_caught_up_with_whatever_memory_holds(
    recorder: Recorder, tmp_path: Path, max_waiting: int
) -> None:
    with running(tmp_path, recorder.handler(), max_waiting) as run:
        run.log(0, 5)
        run.bus.drain()
        assert run.sink.flush(LONG)
        recorder.fail()
        run.log(5, 60)
        run.bus.emit_message("in between")
        run.bus.drain()
        if max_waiting < 1 << 20:
            assert run.sink.pending_count * 150 < max_waiting + 1000, "the rest is on disk"
        assert len(run.seen) == 131, "who looks on hears all of it at once"
        recorder.heal()
        run.log(65, 5)
        assert run.bus.close(LONG) == []
    for trial in ("t0", "t1"):
        assert values(recorder, trial) == list(range(70))
    assert len(recorder.messages()) == 1


def test_what_is_left_on_disk_is_said_and_can_be_flushed(recorder: Recorder, tmp_path: Path) -> None:
    with running(tmp_path, recorder.handler(), 2_000) as run:
        run.bus.emit(events.status_event("RUNNING"))
        run.bus.drain()
        assert run.sink.flush(LONG)
        recorder.fail()
        run.log(0, 50)
        assert run.bus.close(0.05) == ["100 entries stayed on disk, including those that wait in memory"]
    recorder.heal()
    client = Client(Memory(recorder.handler()))
    done = flush(tmp_path, backend=Backend(client=client, delivery_client=client, url="", recorder=recorder))
    assert (done.sent, done.left) == (100, 0)
    for trial in ("t0", "t1"):
        assert values(recorder, trial) == list(range(50))


def test_a_platform_is_caught_up_with_too(tmp_path: Path) -> None:
    """A backend that knows no keys of entries; it is never sent some events."""
    arrived: list[Any] = []
    away = [False]

    def platform(call: Call) -> Answer:
        if away[0]:
            return Answer(status=503)
        if call.path == "trialrun/":
            return Answer(status=404)
        if call.path == "logs/":
            arrived.extend(entry["data"]["value"] for entry in call.json if entry["event"] == "metric")
        return Answer(status=200)

    with running(tmp_path, platform, 3_000) as run:
        run.log(0, 3)
        run.bus.drain()
        assert run.sink.flush(LONG)
        away[0] = True
        for number in range(40):
            run.bus.emit(events.trial_result_event("t0", number, {"loss": 1.0}))
            run.log(3 + number, 1)
        run.bus.drain()
        away[0] = False
        run.log(43, 1)
        assert run.bus.close(LONG) == []
    assert sorted(arrived) == sorted([*range(44)] * 2)


def test_a_run_that_is_gone_on_with_sends_what_the_first_could_not(recorder: Recorder, tmp_path: Path) -> None:
    with running(tmp_path, recorder.handler(), 1 << 20) as run:
        run.log(0, 5)
        run.bus.drain()
        assert run.sink.flush(LONG)
        recorder.fail(route="logs")
        run.log(5, 5)
        assert run.bus.close() == []
    recorder.heal()
    with running(tmp_path, recorder.handler(), 1 << 20) as again:
        for trial in ("t0", "t1"):
            again.emitters[trial] = EventEmitter(
                again.writers[trial].write, job_id=1, trial_id=trial, prefix=f"r-{trial}-1"
            )
        again.log(10, 5)
        again.bus.emit_message("it continues")
        assert again.bus.close(LONG) == []
        assert len(again.seen) == 11, "this viewer saw the rest before"
        assert again.sink.flush(LONG)
    for trial in ("t0", "t1"):
        assert values(recorder, trial) == list(range(15))
