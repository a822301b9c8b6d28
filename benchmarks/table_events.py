"""Measure the microseconds per event of the trial table at 10, 1,000 and 10,000 trials.

A change should cost its own cells only, so the ratios should be near 1; the processor's caches explain a small slope. A
cost that grows with the number of trials would show as 100 and 1,000.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from trialrun.trials import TrialReported, TrialStarted, TrialStatusChanged, TrialTable

__all__ = ["SIZES", "main", "measure"]

SIZES = (10, 1_000, 10_000)
HYPERPARAMETERS = ("lr", "batch_size", "optimizer", "dropout")
EVENTS_PER_ROUND = 5_000
ROUNDS = 15


def filled(trials: int) -> TrialTable:
    """Return a table of that many running trials, each of which has reported once."""
    table = TrialTable("accuracy", HYPERPARAMETERS)
    for number in range(trials):
        config = {"lr": number / trials, "batch_size": 32, "optimizer": "adam", "dropout": 0.5}
        table.apply(TrialStarted(trial_id=f"trial_{number:05d}", config=config))
        table.apply(TrialReported(trial_id=f"trial_{number:05d}", metrics={"accuracy": 0.0, "loss": 1.0}))
    return table


def changes(trials: int) -> list[TrialReported | TrialStatusChanged]:
    """Return the events of a study: reports as Ray makes them, and some changes of state, spread over all trials."""
    made: list[TrialReported | TrialStatusChanged] = []
    for number in range(EVENTS_PER_ROUND):
        trial_id = f"trial_{number * 7_919 % trials:05d}"
        if number % 10 == 9:
            made.append(TrialStatusChanged(trial_id=trial_id, status="PAUSED" if number % 20 == 9 else "RUNNING"))
            continue
        metrics = {"accuracy": number / EVENTS_PER_ROUND, "loss": 1.0, "training_iteration": number, "done": False}
        made.append(TrialReported(trial_id=trial_id, metrics=metrics))
    return made


def microseconds_per_event(table: TrialTable, events: list[TrialReported | TrialStatusChanged]) -> float:
    """Return the processor time of one round through `apply`; other load on the machine does not count."""
    start = time.process_time_ns()
    for event in events:
        table.apply(event)
    return (time.process_time_ns() - start) / 1_000 / len(events)


def measure(rounds: int) -> dict[int, float]:
    """Return the median microseconds per event by number of trials; the sizes take turns, so that load affects all."""
    tables = {size: filled(size) for size in SIZES}
    events = {size: changes(size) for size in SIZES}
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(rounds + 1):
        for size in SIZES:
            cost = microseconds_per_event(tables[size], events[size])
            if number:  # the first round only warms the caches
                times[size].append(cost)
    return {size: statistics.median(costs) for size, costs in times.items()}


def _figures(medians: Mapping[int, float]) -> list[dict[str, Any]]:
    smallest = SIZES[0]
    costs = [
        {"figure": f"one event at {size:,} trials", "value": round(cost, 2), "unit": "µs", "aim": ""}
        for size, cost in medians.items()
    ]
    ratios = [
        {
            "figure": f"one event at {size:,} trials / at {smallest}",
            "value": round(medians[size] / medians[smallest], 2),
            "unit": "times",
            "aim": "≤ 2",
        }
        for size in SIZES[1:]
    ]
    return [*costs, *ratios]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, as JSON or as a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args(argv)
    medians = measure(args.rounds)
    if args.json:
        print(json.dumps(_figures(medians), ensure_ascii=False))
        return 0
    print(f"{'trials':>8}  {'µs/event':>9}  {'ratio':>6}")
    for size, cost in medians.items():
        print(f"{size:>8,}  {cost:>9.2f}  {cost / medians[SIZES[0]]:>6.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
