"""Compare the cost of one log_metric call with a synchronous POST of the same entry to the same recorder.

The recorder runs in its own process. The call writes to the trial's spool, as in a worker of Ray; with the event bus,
as in the inline executor, a thread of the same process also sends the entries.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from trialrun import events
from trialrun.backend import Client, Http, LogSink, Tokens
from trialrun.backend.ledger import Ledger
from trialrun.job_run import EventEmitter, JobRun
from trialrun.run_dir.spool import SpoolWriter, Tail

__all__ = ["main", "measure", "recorder_process"]

CALLS = 20_000
POSTS = 500
WARM = 100


@contextlib.contextmanager
def recorder_process(folder: Path) -> Iterator[tuple[int, str, str]]:
    """Start a recorder in its own process; yield its process id, URL and token."""
    command = [sys.executable, "-m", "trialrun", "record", "--json", "--db", str(folder / "there.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        try:
            yield process.pid, facts["url"], facts["token"]
        finally:
            process.terminate()
            process.wait(30)


def run_in(folder: Path, name: str) -> tuple[JobRun, SpoolWriter]:
    """Yield the run of a trial, with its spool."""
    writer = SpoolWriter(folder / "spool" / f"{name}.0.jsonl")
    stamper = EventEmitter(writer.write, job_id=1, trial_id=name, prefix=f"bench-{name}-0")
    return JobRun(stamper, name="bench", job_id=1, trial_id=name, seed=1, folder=folder), writer


def microseconds(call: Callable[[int], object], count: int, *, pause: float = 0.0) -> list[float]:
    """Return the time of each call, with `pause` seconds between two, as training steps have."""
    for number in range(WARM):
        call(number)
    times = []
    for number in range(count):
        start = time.perf_counter_ns()
        call(number)
        times.append((time.perf_counter_ns() - start) / 1000)
        if pause:
            time.sleep(pause)
    return times


def measure(calls: int, posts: int) -> dict[str, list[float]]:
    """Return the times in microseconds by the name of the call."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="trialrun-bench-") as place:
        folder = Path(place)
        with recorder_process(folder) as (_, url, token):
            run, writer = run_in(folder / "worker", "t1")
            log = lambda n: run.log_metric("training", "loss", 1.0 / (n + 1), epoch=n, step=n)
            found["log_metric in a worker"] = microseconds(log, calls)
            writer.close()
            found["log_metric beside the hub, a call every 2 ms"] = _beside_a_hub(folder / "inline", url, token, posts)
            found["synchronous POST"] = _posted(url, token, posts)
            if hasattr(os, "fsync"):
                found["append and fsync"] = _synced(folder / "synced", posts)
    return found


def _beside_a_hub(folder: Path, url: str, token: str, count: int) -> list[float]:
    run, writer = run_in(folder, "t2")
    http = Http(url, Tokens(access=token))
    with Ledger(folder, url) as ledger:
        sink = LogSink(Client(http), entry=events.to_log_entry, delivery_log=ledger)
        tail = Tail(folder / "spool", lambda path, line: sink.put(events.from_line(line)))
        log = lambda n: run.log_metric("training", "loss", 1.0 / (n + 1), epoch=n, step=n)
        times = microseconds(log, count, pause=0.002)
        tail.stop()
        sink.close(60)
    writer.close()
    http.close()
    if sink.pending_count or sink.refused_events:
        raise RuntimeError(f"{sink.pending_count} entries did not arrive: {sink.trouble}")
    return times


def _posted(url: str, token: str, count: int) -> list[float]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Token {token}"

        def post(number: int) -> None:
            data = {"category": "training", "key": "loss", "value": 1.0 / (number + 1), "metrics": {"epoch": number}}
            entry = {"event": "metric", "job": 1, "data": {**data, "trial_id": "t3"}}
            session.post(f"{url}logs/", json=entry, timeout=30).raise_for_status()

        return microseconds(post, count)


def _synced(folder: Path, count: int) -> list[float]:
    """Return the cost of an fsync per entry, which would survive a crash of the machine and not only of the process."""
    folder.mkdir()
    with (folder / "file").open("ab", buffering=0) as file:

        def append(number: int) -> None:
            file.write(b"x" * 200)
            os.fsync(file.fileno())

        return microseconds(append, count)


def _figures(found: dict[str, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for what, times in found.items():
        p99 = statistics.quantiles(times, n=100)[98]
        rows.append({"figure": f"{what}, median", "value": round(statistics.median(times), 1), "unit": "µs", "aim": ""})
        rows.append({"figure": f"{what}, p99", "value": round(p99, 1), "unit": "µs", "aim": ""})
    ratio = statistics.median(found["synchronous POST"]) / statistics.median(found["log_metric in a worker"])
    return [*rows, {"figure": "POST / log_metric, medians", "value": round(ratio, 1), "unit": "times", "aim": "≥ 10"}]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--posts", type=int, default=POSTS)
    args = parser.parse_args(argv)
    figures = _figures(measure(args.calls, args.posts))
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>10,.1f} {figure['unit']:<6} {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
