"""Count the entries that are lost or doubled when the backend fails during a tuning job, under random faults.

Each schedule spoils calls of one job with faults of every kind that the recorder can make, through memory and over
HTTP in turn. The recording is then compared with the entries in the spools, and with an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import trialrun
from trialrun.backend.client import Client
from trialrun.backend.http import Http, Tokens
from trialrun.backend.memory import Memory
from trialrun.backend.retry import Retry, RetryPolicy
from trialrun.backend.transport import Transport
from trialrun.engine.backends import Backend
from trialrun.engine.flush import flush
from trialrun.recorder import Fault, Fixtures, Recorder
from trialrun.recorder.faults import FaultKind
from trialrun_hookspecs.errors import TrialrunError

__all__ = ["Outcome", "content", "main", "random_schedule", "run_job", "run_while_away"]

SCHEDULES = 200
KINDS = get_args(FaultKind)
QUICK = RetryPolicy(attempts=60, first=0.001, longest=0.01, total=60.0)
JOB = {
    "action": "train",
    "params": {
        "name": "faults",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [
            {"name": "epochs", "type": "grid_search", "options": [2, 3]},
            {"name": "learning_rate", "type": "grid_search", "options": [0.1]},
        ],
        "tune_config": {"metric": "loss", "mode": "min", "seed": 1},
    },
}
ROWS = [{"category": "train", "data": {"x": [float(n)], "y": 2.0 * n}} for n in range(4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts of entries and calls of one run. `content` is its normalised recording; `struck` counts spoiled calls."""

    accepted: int
    lost: int
    doubled: int
    calls: int
    struck: int
    content: dict[str, Any]


def random_schedule(draw: random.Random, calls: int) -> list[Fault]:
    """Return one to eight faults, each on up to five successive calls of a job of `calls` calls."""
    return [
        Fault(
            kind=draw.choice(KINDS),
            first=(first := draw.randint(1, calls + 5)),
            last=first + draw.randint(0, 4),
            route=draw.choice(["", "", "", "logs", "jobs", "chunked_upload", "models"]),
            seconds=0.002,
        )
        for _ in range(draw.randint(1, 8))
    ]


def run_job(faults: Sequence[Fault], *, http: bool = False) -> Outcome:
    """Run one job under these faults and return its outcome."""
    with _open_backend(http=http) as (folder, recorder, backend):
        recorder.faults.plan += faults
        result = trialrun.run(JOB, plugin="pure", backend=backend, executor="inline", results=folder / "results")
        return _outcome(Path(result.results_dir), recorder)


def run_while_away() -> Outcome:
    """Run a job whose backend is away until the job has ended, then flush it; return the outcome."""
    from trialrun.engine import runner

    with _open_backend(http=True) as (folder, recorder, backend):
        recorder.faults.plan += [Fault(route="logs"), Fault(route="jobs/1")]
        before, runner.CLOSE_TIMEOUT_S = runner.CLOSE_TIMEOUT_S, 0.5
        try:
            result = trialrun.run(JOB, plugin="pure", backend=backend, executor="inline", results=folder / "results")
        finally:
            runner.CLOSE_TIMEOUT_S = before
        assert not recorder.events()
        recorder.heal()
        flush(result.results_dir, backend=backend)
        return _outcome(Path(result.results_dir), recorder)


@contextlib.contextmanager
def _open_backend(*, http: bool) -> Iterator[tuple[Path, Recorder, Backend]]:
    fixtures = Fixtures()
    fixtures.add_dataset(1, ROWS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trialrun-faults-")))
        recorder = stack.enter_context(Recorder(folder / "recorder.sqlite", fixtures=fixtures))
        transport: Transport = Memory(recorder.handler())
        if http:
            server = stack.enter_context(recorder.server())
            transport = Http(server.url, Tokens(access=server.token))
            stack.callback(transport.close)
        client = Client(Retry(transport, retry_policy=QUICK))
        yield (
            folder,
            recorder,
            Backend(client=client, delivery_client=Client(transport), url="", recorder=recorder, retry_policy=QUICK),
        )


def _outcome(results: Path, recorder: Recorder) -> Outcome:
    lines = [line for path in (results / "spool").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    accepted = Counter(json.loads(line)["key"] for line in lines)
    arrived = Counter(event["key"] for event in recorder.events())
    return Outcome(
        accepted=sum(accepted.values()),
        lost=sum((accepted - arrived).values()),
        doubled=sum((arrived - accepted).values()),
        calls=len(recorder.faults.calls),
        struck=len(recorder.faults.struck),
        content=content(recorder),
    )


def content(recorder: Recorder) -> dict[str, Any]:
    """Return the recording without random ids, durations and times, so that two runs compare equal."""
    models = {model["id"]: model for model in recorder.models()}
    job = recorder.job(1)
    per_trial = {
        trial: [(m["category"], m["key"], m["value"]) for m in recorder.metrics(trial_id=trial)]
        for trial in {m["trial_id"] for m in recorder.metrics()}
    }
    found = {
        "metrics": per_trial,
        "messages": [(m["context"], re.sub(r"\d+\.\d+ ?s", "…", m["content"])) for m in recorder.messages()],
        "results": sorted(json.dumps(event["data"], sort_keys=True) for event in recorder.events("trial_result")),
        "table": recorder.last_table(),
        "rows": recorder.table_rows(1),
        "statuses": [change["value"] for change in recorder.changes(1, "status")],
        "status": job["status"],
        "overall": recorder.progress(1)[-1]["overall"],
        "best": [(best["trial_id"], best["hyperparameters"]) for best in recorder.best_trials(1)],
        "models": sorted((model["name"], model["md5_matches"], model["size"]) for model in models.values()),
        "chosen": models[job["result"]["model_id"]]["name"],
    }
    text = re.sub(r"[0-9a-f]{5}_(?=\d{5}\b)", "trial_", json.dumps(found, sort_keys=True))
    normal: dict[str, Any] = json.loads(text)
    return normal


def _measure(schedules: int, seed: int) -> list[dict[str, Any]]:
    undisturbed = run_job([])
    lost = doubled = struck = failed = differing = accepted = 0
    for number in range(schedules):
        draw = random.Random(seed + number)
        faults = random_schedule(draw, undisturbed.calls)
        try:
            outcome = run_job(faults, http=number % 2 == 1)
        except TrialrunError as error:
            failed += 1
            print(f"schedule {seed + number}: {error}", file=sys.stderr)
            continue
        lost, doubled, struck = lost + outcome.lost, doubled + outcome.doubled, struck + outcome.struck
        accepted += outcome.accepted
        if outcome.content != undisturbed.content:
            differing += 1
            print(f"schedule {seed + number} differs: {faults}", file=sys.stderr)
    away = run_while_away()
    figures = [
        ("schedules", schedules, "", ""),
        ("entries accepted", accepted, "entries", ""),
        ("calls spoiled", struck, "calls", ""),
        ("entries lost", lost, "entries", "≤ 0"),
        ("entries doubled", doubled, "entries", "≤ 0"),
        ("jobs that failed", failed, "jobs", "≤ 0"),
        ("recordings that differ from the undisturbed one", differing, "recordings", "≤ 0"),
        ("lost with the backend away for the whole run, after a flush", away.lost, "entries", "≤ 0"),
        ("doubled by that", away.doubled, "entries", "≤ 0"),
        ("recordings that differ after that", int(away.content != undisturbed.content), "recordings", "≤ 0"),
    ]
    return [{"figure": what, "value": value, "unit": unit, "aim": aim} for what, value, unit, aim in figures]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    figures = _measure(args.schedules, args.seed)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return 0
    for figure in figures:
        print(f"{figure['value']:>8,}  {figure['figure']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
