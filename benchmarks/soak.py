"""Load a recorder for minutes: entries per second, memory after a million entries, and lost entries.

First two clients send as many entries as it accepts, in batches of a thousand. Then eight clients send a limited load
of small batches, beside a slow reader and malformed calls.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trialrun.backend import Call, Client, Http, Retry, Tokens

__all__ = ["main", "measure"]

SECONDS = 300.0
ENTRIES = 1_000_000
WRITERS = 2
CALM_WRITERS = 8
CALM_BATCH = 20
CALM_PAUSE_S = 0.25
BATCH = 1000


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


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def entries(writer: str, first: int, count: int) -> list[dict[str, Any]]:
    """Return metrics as a trial sends them."""
    data = {"category": "training", "key": "loss", "value": 0.5, "metrics": {"epoch": first}, "trial_id": writer}
    facts = {"event": "metric", "job": 1, "datetime": "2026-01-01T00:00:00+00:00", "data": data}
    return [{**facts, "key": f"{writer}-{first + number}"} for number in range(count)]


class Load:
    """The writers of one recorder: the entries that they sent, and the time of each call."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self.sent = 0
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def write(self, name: str, batch: int, pause: float, goes_on: Callable[[], bool]) -> None:
        client = Client(Retry(Http(self._url, Tokens(access=self._token))))
        first = 0
        while goes_on():
            made = entries(name, first, batch)
            started = time.perf_counter()
            try:
                client.post_logs(made, key=f"{name}-{first}")
            except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
                self.errors.append(repr(error))
                return
            with self._lock:
                self.latencies.append(time.perf_counter() - started)
                self.sent += batch
            first += batch
            time.sleep(pause)
        client.close()

    def nonsense(self, goes_on: Callable[[], bool]) -> None:
        """Send calls that are refused, and leave incomplete ones open."""
        http = Http(self._url, Tokens(access=self._token))
        host, port = self._url.removeprefix("http://").rstrip("/").split(":")
        kept: list[socket.socket] = []
        while goes_on():
            for method, path, body in (
                ("POST", "logs/", b"[1, 2"),
                ("GET", "models/999/", None),
                ("PUT", "x", b"\xff"),
            ):
                http.send(Call(method=method, path=path, body=body, content_type="application/json"))
            kept.append(socket.create_connection((host, int(port))))
            kept[-1].sendall(b"POST /logs/ HTTP/1.1\r\nContent-Length: 1000\r\n")
            if len(kept) > 50:
                kept.pop(0).close()
            time.sleep(0.5)
        http.close()
        for connection in kept:
            connection.close()


def _together(*targets: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
    threads = [threading.Thread(target=target, args=args) for target, args in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(total: int, seconds: float) -> list[dict[str, Any]]:
    """Return the figures of one run."""
    with tempfile.TemporaryDirectory(prefix="trialrun-soak-") as place:
        folder = Path(place)
        with recorder_process(folder) as (pid, url, token):
            started, begin = time.perf_counter(), memory_mb(pid)
            fast = Load(url, token)
            _together(*((fast.write, (f"fast{n}", BATCH, 0.0, lambda: fast.sent < total)) for n in range(WRITERS)))
            took, after = time.perf_counter() - started, memory_mb(pid)
            end = started + seconds
            calm = Load(url, token)
            goes_on = lambda: time.perf_counter() < end
            writers = [(calm.write, (f"calm{n}", CALM_BATCH, CALM_PAUSE_S, goes_on)) for n in range(CALM_WRITERS)]
            _together(*writers, (calm.nonsense, (goes_on,)))
            last = memory_mb(pid)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        stored = _stored(folder / "there.sqlite")
    slow = calm.latencies or [0.0, 0.0]
    sent = fast.sent + calm.sent
    figures = [
        ("entries a second, batches of 1000", fast.sent / took, "1/s", ""),
        ("entries sent", sent, "entries", ""),
        ("entries lost", sent - stored[0], "entries", "≤ 0"),
        ("entries doubled", stored[0] - stored[1], "entries", "≤ 0"),
        ("calls that failed", len(fast.errors) + len(calm.errors), "calls", "≤ 0"),
        ("memory at the start", begin, "MB", ""),
        (f"memory after {fast.sent:,} entries", after, "MB", ""),
        ("memory at the end", last, "MB", ""),
        ("recording", size, "MB", ""),
        ("a call under bounded load, median", 1000 * statistics.median(slow), "ms", ""),
        ("a call under bounded load, p99", 1000 * statistics.quantiles(slow, n=100)[98], "ms", ""),
        ("seconds", time.perf_counter() - started, "s", ""),
    ]
    return [{"figure": what, "value": round(value, 1), "unit": unit, "aim": aim} for what, value, unit, aim in figures]


def _stored(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT count(*), count(DISTINCT key) FROM entries").fetchone()
    whole = connection.execute("PRAGMA quick_check").fetchone()
    connection.close()
    if whole != ("ok",):
        raise RuntimeError(f"the recording is damaged: {whole}")
    return int(row[0]), int(row[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    args = parser.parse_args(argv)
    figures = measure(args.entries, args.seconds)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>14,.1f} {figure['unit']:<8} {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
