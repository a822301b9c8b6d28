"""Measure the web UI in a real browser, at 10, 1,000 and 10,000 trials of 100 points each.

Needs selenium, chromium and chromedriver. Without a browser it prints the size of the page's files and the times of
the read API. "Time to first table" runs from the request for the page to rows on the screen. "Update latency" runs from
an event's arrival at the recorder to its row on the screen (the page polls and draws at most every 100 ms). A frame is
one step of scrolling: by 120 pixels, as a mouse wheel does, or by a 120th of the table, which is a new screen each time
at 10,000 trials. 16.7 ms is smooth on most screens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from trialrun.recorder import Recorder
from trialrun.recorder.normalise import Entry
from trialrun.recorder.recorder import HttpServer
from trialrun.recorder.store import Store
from trialrun.web import STATIC

__all__ = ["SIZES", "fill", "main"]

SIZES = (10, 1_000, 10_000)
POINTS = 100
UPDATES = 15
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PARAMS = {
    "name": "a large study",
    "is_tune": True,
    "hyperparameters": [],
    "tune_config": {"metric": "accuracy", "mode": "max", "num_samples": 1},
}
COLUMNS = {
    "base": ["trial_id", "status"],
    "hyperparameters": ["learning_rate", "layers", "optimizer", "dropout"],
    "metrics": ["accuracy", "loss"],
}


def delta(trial: str, status: str, config: Sequence[Any], accuracy: float) -> dict[str, Any]:
    """Return one row of a table, as the runtime sends it."""
    metrics = {"accuracy": accuracy, "loss": 1 - accuracy, "epoch": POINTS}
    row = {"base": [trial, status], "hyperparameters": list(config), "metrics": [accuracy, 1 - accuracy]}
    return {**COLUMNS, "trials": {trial: {**row, "all_metrics": metrics}}}


def _entry(job: int, event: str, trial: str | None, seconds: float, data: Any) -> Entry:
    moment = (BEGAN + timedelta(seconds=seconds)).isoformat()
    return Entry(
        event=event, job=job, trial_id=trial, time=moment, key=None, data=json.dumps(data), file=None, extra=None
    )


def _trial(job: int, number: int, draw: random.Random, points: int) -> Iterator[Entry]:
    trial, began = f"run_{number:05d}", number * 2.0
    rate, dropout = 10 ** draw.uniform(-4, -1), draw.uniform(0, 0.6)
    config = [rate, draw.randint(1, 8), draw.choice(["adam", "sgd", "lion"]), dropout]
    top = math.exp(-((math.log10(rate) + 2.5) ** 2)) * (1 - dropout / 2) + draw.gauss(0, 0.02)
    yield _entry(job, "trials_delta", None, began, delta(trial, "RUNNING", config, 0.0))
    for step in range(1, points + 1):
        accuracy = top * (1 - math.exp(-step / 20)) + draw.gauss(0, 0.01)
        metrics = {"accuracy": accuracy, "loss": 1 - accuracy, "epoch": step}
        data = {"trial_id": trial, "iteration": step, "metrics": metrics}
        yield _entry(job, "trial_result", trial, began + step * 0.1, data)
    status = "ERROR" if number % 17 == 16 else "PAUSED" if number % 23 == 22 else "TERMINATED"
    yield _entry(job, "trials_delta", None, began + points * 0.1, delta(trial, status, config, top))


def fill(path: Path, trials: int, points: int = POINTS) -> float:
    """Record a study of that size; return the entries recorded per second."""
    draw = random.Random(1)
    with Recorder(path) as recorder:
        job = recorder.create_job("a large study", {"action": "train", "params": PARAMS}, plugin="demo", version="1")
    store = Store(path)
    batch: list[Entry] = []
    began, count = time.perf_counter(), 0
    for number in range(trials):
        batch.extend(_trial(job, number, draw, points))
        if len(batch) > 2_000 or number == trials - 1:
            with store.transaction():
                count += store.add_entries(batch)
            batch = []
    taken = time.perf_counter() - began
    store.close()
    return count / taken


def size_of_files() -> list[dict[str, Any]]:
    files = [file for file in STATIC.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1000
    return [
        {
            "figure": f"the page's {len(files)} files, not compressed",
            "value": round(size, 1),
            "unit": "kB",
            "aim": "≤ 250",
        }
    ]


def read_api(server: HttpServer, trials: int) -> list[dict[str, Any]]:
    """Return the milliseconds of the page's requests: the first of each, and the median of the others."""
    session = requests.Session()
    session.get(server.page_url)
    key = session.get(f"{server.url}ui/api/jobs").json()["recordings"][0]["recording"]
    job = f"{server.url}ui/api/{key}/jobs/1"
    asked = {
        "a sorted page of 200 rows": f"{job}/trials?sort=m:accuracy&order=desc&limit=200",
        "curves of 20 trials": f"{job}/curves?series=trial_result:loss&"
        + "&".join(f"trial=run_{number:05d}" for number in range(min(20, trials))),
        "importance": f"{job}/importance",
    }
    figures = []
    for name, url in asked.items():
        times = []
        for _ in range(6):
            began = time.perf_counter()
            session.get(url).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
        for which, value in (("first", times[0]), ("then", statistics.median(times[1:]))):
            figure = f"{name} at {trials:,} trials, {which}"
            figures.append({"figure": figure, "value": round(value, 1), "unit": "ms", "aim": ""})
    return figures


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Return a headless chromium, or None if it is not installed."""
    driver, binary = shutil.which("chromedriver"), shutil.which("chromium")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        driver = None
    if driver is None or binary is None:
        yield None
        return
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1360,1000")
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


ROWS = "return document.querySelectorAll('.gridbox .row:not([hidden])').length && performance.now()"
WHOLE = """
const rows = Number(document.querySelector('.gridbox')?.getAttribute('aria-rowcount')) - 1;
return rows >= arguments[0] && performance.now();
"""
FIRST = """
const done = arguments[0];
fetch('/ui/api/jobs').then((answer) => answer.json()).then((all) => done(all.recordings[0].recording));
"""
SEEN = """
const [text, done] = arguments;
const cells = () => [...document.querySelectorAll('.gridbox .row:not([hidden]) .cell')];
const look = () => cells().some((cell) => cell.textContent === text);
const wait = () => (look() ? requestAnimationFrame(() => done(Date.now())) : requestAnimationFrame(wait));
wait();
"""
SCROLL = """
const [pixels, done] = arguments;  // for each frame; null: the whole table in 120 frames
const box = document.querySelector('.gridbox');
const room = box.scrollHeight - box.clientHeight;
const by = Math.min(pixels ?? room / 120, room / 120);
box.scrollTop = 0;
const frames = [];
let last = performance.now(), step = 0;
const move = (now) => {
  frames.push(now - last); last = now;
  if (step > 120) { done(frames.slice(2)); return; }
  box.scrollTop = by * step; step += 1;
  requestAnimationFrame(move);
};
requestAnimationFrame(move);
"""


def _until(chrome: Any, script: str, *values: Any) -> float:
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        found = chrome.execute_script(script, *values)
        if found:
            return float(found)
        time.sleep(0.005)
    raise TimeoutError(script)


def in_browser(chrome: Any, recorder: Recorder, server: HttpServer, trials: int) -> list[dict[str, Any]]:
    chrome.set_script_timeout(60)
    chrome.get(server.page_url)
    key = chrome.execute_async_script(FIRST)
    chrome.get("about:blank")
    chrome.get(f"{server.url}ui/#/j/{key}/1")
    figures = [
        ("first rows on the screen", _until(chrome, ROWS), "ms", "≤ 1000"),
        ("whole table there", _until(chrome, WHOLE, trials), "ms", ""),
    ]
    # newest first, so that the reported row is in sight
    chrome.execute_script("document.querySelector('.gridbox .ghead .cell:nth-child(3) button').click()")
    latencies = []
    for number in range(UPDATES):
        accuracy = 10.0 + number
        entry = {
            "event": "trials_delta",
            "job": 1,
            "data": delta("run_00000", "RUNNING", [0.1, 1, "adam", 0], accuracy),
        }
        began = time.time()
        recorder.handle(
            "POST", "logs", body=json.dumps(entry).encode(), headers={"Authorization": f"Token {server.token}"}
        )
        seen = chrome.execute_async_script(SEEN, f"{accuracy:g}")
        latencies.append(seen - began * 1000)
        time.sleep(0.05 + random.random() * 0.3)  # not in step with the page's own clock
    figures += [
        ("event to row on the screen, median", statistics.median(latencies), "ms", "≤ 500"),
        ("event to row on the screen, worst", max(latencies), "ms", ""),
    ]
    for how, pixels in (("by the wheel", 120), ("through the whole table in 120 frames", None)):
        frames = sorted(chrome.execute_async_script(SCROLL, pixels))
        figures += [
            (f"frame while scrolling {how}, median", statistics.median(frames), "ms", "≤ 34"),
            (f"frame while scrolling {how}, 95 %", frames[int(len(frames) * 0.95)], "ms", ""),
        ]
    began = time.perf_counter()
    chrome.execute_script("document.querySelector('.gridbox .ghead .cell:nth-child(4) button').click()")
    figures.append(("sort by another column", (time.perf_counter() - began) * 1000, "ms", "≤ 500"))
    return [
        {"figure": f"{name} at {trials:,} trials", "value": round(value, 1), "unit": unit, "aim": aim}
        for name, value, unit, aim in figures
    ]


def measure(sizes: Sequence[int]) -> list[dict[str, Any]]:
    figures = size_of_files()
    with browser() as chrome:
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "recorder.sqlite"
                rate = fill(path, size)
                figures.append(
                    {
                        "figure": f"entries a second taken in, {size:,} trials",
                        "value": round(rate),
                        "unit": "1/s",
                        "aim": "",
                    }
                )
                with Recorder(path) as recorder, recorder.server() as server:
                    figures += read_api(server, size)
                    figures += in_browser(chrome, recorder, server, size) if chrome else []
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--trials", type=int, nargs="*", default=list(SIZES), help="sizes to measure")
    args = parser.parse_args(argv)
    figures = measure(args.trials)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>10,}  {figure['unit']:<4}  {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
