"""A trial that says what it was given: its GPU, its placement group, and where the workers that it starts land."""

from __future__ import annotations

import os
import time
from pathlib import Path


def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("this plugin tunes")


def tune(hyperparameter, run, dataset, checkpoint):
    import ray

    group = ray.util.get_current_placement_group()
    found = {
        "loss": 1.0,
        "bundles": len(group.bundle_specs),
        "cpus": sum(bundle.get("CPU", 0.0) for bundle in group.bundle_specs),
        "disks": sum(bundle.get("disk", 0.0) for bundle in group.bundle_specs),
        "share": ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0),
    }
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    found["device"] = int(visible) if visible.isdigit() else -1
    run.log_message(f"visible {os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')!r}")
    if hyperparameter["do"] == "start workers":
        found["inside"] = _inside(ray, group)
    if hyperparameter["do"] == "meet":
        found["met"] = _met(2)
    if hyperparameter["do"] == "count":
        found["met"] = _most()
    return found


def _inside(ray, group):
    """Return how many of two workers run in the trial's placement group."""

    @ray.remote(num_cpus=0.5)
    class Worker:
        def group(self):
            return ray.util.get_current_placement_group().id.hex()

    workers = [Worker.remote() for _ in range(2)]
    return ray.get([worker.group.remote() for worker in workers]).count(group.id.hex())


def _met(others):
    """Return how many trials of the study run at the same time as this one, itself included."""
    Path("here").touch()
    end = time.monotonic() + 60
    while len(found := list(Path("..").glob("*/here"))) < others and time.monotonic() < end:
        time.sleep(0.05)
    return len(found)


def _most():
    """The most trials that ran at the same time as this one, itself included; it stays for a second with another one."""
    mine = Path("here")
    mine.touch()
    most, end = 1, time.monotonic() + 60
    while time.monotonic() < end:
        found = len(list(Path("..").glob("*/here")))
        if most == 1 and (found > 1 or list(Path("..").glob("*/gone"))):
            end = time.monotonic() + 1
        most = max(most, found)
        time.sleep(0.02)
    Path("gone").touch()
    mine.unlink()
    return most
