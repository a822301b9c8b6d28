"""TR2xx, training: one model, its metrics, and resuming from it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from trialrun.testing.checks.shared import (
    find_blamed_check,
    first_error,
    list_points,
    locate_call,
    locate_error,
    require_load,
    require_training,
    run_jobs,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check

__all__: list[str] = []

_TRAIN = "docs/how-to/plugins.md#train"
_RUN = "docs/how-to/plugins.md#the-run"
_PLACE = "docs/how-to/plugins.md#where-it-runs"


@check(
    id="TR201",
    title="training completes",
    clause=f"{_TRAIN}: train() trains one model and returns",
    why="Every training job of the platform calls train().",
    fix="Run it under a debugger: `trialrun run job.json --plugin … --executor inline`.",
    before="rows = dataset['training']  # the category is called 'train'",
    after="rows = dataset['train']",
)
def training_ends(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    error = first_error(observation)
    owner = find_blamed_check(observation)
    if owner == "TR201":
        kind = error.type if error else "timed out" if observation.timed_out else "died"
        text = str(error) if observation.has_ended and error else observation.status_text
        context.fail(
            f"train() failed: {text}", signature=f"train: {kind}", where=locate_error(error) or context.locate_hook()
        )
    if owner and has_hook_failed(observation):
        context.raise_vacuous(f"train() failed: see {owner}")
    context.note(seconds=round(observation.seconds, 2), calls=len(observation.calls))


def has_hook_failed(observation: Observation) -> bool:
    return bool(observation.hook_errors) or not observation.has_ended


@check(
    id="TR202",
    title="training returns an artifact that can be uploaded",
    clause=f"{_TRAIN}: returns the path of its artifact, a file or a folder",
    why="The artifact is the model. A path that does not exist, is empty, or links elsewhere cannot be uploaded.",
    fix="Write the model into Path(run.checkpoint_output) and return that path.",
    before="return 'model.pt'  # the file was written to another folder",
    after="path = Path(run.checkpoint_output)\nsave(model, path)\nreturn str(path)",
)
def artifact_can_be_uploaded(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    if find_blamed_check(observation) == "TR202":
        context.fail(
            f"the artifact cannot be uploaded: {observation.status_text}",
            signature="artifact",
            where=context.locate_hook(),
        )
    context.require_ok(observation)
    context.note(models=len(observation.recorder.models()))


@check(
    id="TR203",
    title="the artifact is in the run's own folder",
    clause="docs/how-to/plugins.md#tune: an artifact outside what the job may read is an error",
    why="All runs of a machine share a fixed path: the next run overwrites this model while it is uploaded.",
    fix="Write to run.checkpoint_output, or to a relative path: each run has its own working directory.",
    before='path = Path("/tmp/model")',
    after="path = Path(run.checkpoint_output)",
)
def artifact_is_the_runs_own(context: CheckContext) -> None:
    observation = require_training(context)
    path = observation.artifact_path
    if path is None:
        context.raise_vacuous("the run returned no artifact")
    own = Path(observation.hook_calls[-1]["cwd"]).resolve()
    message = f"the artifact is at {path}, outside the run's folder"
    context.expect(
        path.resolve().is_relative_to(own), message, signature="artifact outside", where=context.locate_hook()
    )


@check(
    id="TR204",
    title="training logs a metric",
    clause=f"{_RUN}: run.log_metric",
    why="Without a metric there is no curve, and users cannot see whether the model learns.",
    fix='Call run.log_metric("train", "loss", loss, epoch=epoch) once per epoch.',
    before="print(loss)",
    after='run.log_metric("train", "loss", loss, epoch=epoch)',
)
def training_logs_a_metric(context: CheckContext) -> None:
    observation = require_training(context)
    points = observation.recorder.metrics()
    context.note(points=len(points))
    context.expect(points, "train() logged no metric", signature="no metric", where=context.locate_hook())


@check(
    id="TR205",
    title="every value passed to run can be recorded",
    clause=f"{_RUN}: a value that cannot be recorded raises BadValue and is not sent",
    why="NaN, infinities, arrays and text raise BadValue. A plugin that catches it loses the point silently.",
    fix="Log finite numbers: float(loss). When a value is not finite, report it with run.log_message() instead.",
    before='run.log_metric("train", "loss", float("nan"))',
    after='if math.isfinite(loss):\n    run.log_metric("train", "loss", loss)',
)
def values_can_be_recorded(context: CheckContext) -> None:
    for observation in run_jobs(context):
        calls = context.require_calls(observation, "log_metric", "report", "log_trials", least=0)
        for call in calls:
            if str(call["raised"] or "").startswith("BadValue"):
                context.fail(
                    f"run.{call['name']} refused: {call['raised']}", signature="bad value", where=locate_call(call)
                )


@check(
    id="TR206",
    title="metric keys stay the same from epoch to epoch",
    clause=f"{_RUN}: a metric is a category, a key and a value; varying data are extra values",
    why="Each key is a curve. A key that contains the epoch makes one curve of one point per epoch.",
    fix="Pass the number as an extra value: log_metric(category, key, value, epoch=epoch).",
    before='run.log_metric("train", f"loss_{epoch}", loss)',
    after='run.log_metric("train", "loss", loss, epoch=epoch)',
)
def keys_are_stable(context: CheckContext) -> None:
    observation = require_training(context)
    points = [call for call in observation.find_calls("log_metric") if len(call["args"]) > 1]
    counts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for call in points:
        counts.setdefault((str(call["args"][0]), str(call["args"][1])), []).append(call)
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (category, key), calls in counts.items():
        bare = re.sub(r"\d+", "#", key)
        if bare != key and len(calls) == 1:
            families.setdefault((re.sub(r"\d+", "#", category), bare), []).append(calls[0])
    for (_, bare), calls in families.items():
        apart = [b["n"] - a["n"] for a, b in pairwise(calls)]
        if len(calls) > 1 and (len(calls) == len(points) or min(apart) > 1):
            message = f"{len(calls)} keys {bare!r} with one point each"
            context.fail(message, signature="keys with numbers", where=locate_call(calls[0]))


@check(
    id="TR207",
    title="progress never decreases and ends at its total",
    clause=f"{_RUN}: run.set_progress reports how far a phase is; never goes backwards",
    why="It determines the estimated remaining time. A decrease is ignored, and an end below the total looks stuck.",
    fix="Call run.set_progress(done, total) after each step, with `done` from 1 to `total`.",
    before='run.set_progress(epoch, epochs, "train")  # epoch is 0 … epochs - 1',
    after='run.set_progress(epoch + 1, epochs, "train")',
)
def progress_is_sane(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    for call in observation.find_calls("set_progress"):
        if str(call["raised"] or "").startswith("BadValue"):
            context.fail(
                f"run.set_progress refused: {call['raised']}", signature="progress refused", where=locate_call(call)
            )
    context.require_ok(observation)
    phases: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for call in observation.find_calls("set_progress"):
        current, total, category = _parse_progress(call)
        phases.setdefault(category, []).append((1.0 if total == 0 else current / total, call))
    context.note(phases=sorted(phases))
    if not phases:
        context.raise_not_applicable("the plugin reports no progress")
    for category, steps in phases.items():
        for (before, _), (after, call) in pairwise(steps):
            message = f"progress {category!r} decreased from {before:.0%} to {after:.0%}"
            context.expect(after >= before, message, signature="progress falls", where=locate_call(call))
        last, call = steps[-1]
        message = f"progress {category!r} ended at {last:.0%}"
        context.expect(math.isclose(last, 1.0), message, signature="progress off its total", where=locate_call(call))


def _parse_progress(call: Mapping[str, Any]) -> tuple[float, float, str]:
    arguments = dict(zip(("current", "total", "category"), call["args"], strict=False)) | call["kwargs"]
    return float(arguments.get("current", 0)), float(arguments.get("total", 0)), str(arguments.get("category", ""))


@check(
    id="TR212",
    title="training accepts its own artifact as checkpoint",
    clause=f"{_TRAIN}: checkpoint is None, or the model to go on from, with `path`, the folder it was unpacked to",
    why="Any job may start from a saved model, so train() must read the format that it writes.",
    fix="Read from Path(checkpoint['path']), a folder with the artifact's file or with the content of its folder.",
    before="model = load(checkpoint)",
    after="model = load(Path(checkpoint['path']) / 'model.pt')",
)
def training_takes_its_artifact(context: CheckContext) -> None:
    observation = context.train(checkpoint=_require_artifact(context))
    error = first_error(observation)
    where = locate_error(error) or context.locate_hook()
    context.expect(
        observation.ok,
        f"train() failed with its own artifact as checkpoint: {observation.status_text}",
        signature="resume",
        where=where,
    )


def _require_artifact(context: CheckContext) -> Path:
    path = require_training(context).artifact_path
    if path is None:
        context.raise_vacuous("the run returned no artifact")
    return path


@check(
    id="TR213",
    title="training resumes from its checkpoint",
    needs={"resumes"},
    clause=f"{_TRAIN}: checkpoint is the model to go on from",
    why="A run that silently starts over repeats hours of work, and does not return the requested model.",
    fix="Load weights and epoch, and continue with the next epoch; or do not declare 'resumes'.",
    before="def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    model = Model()",
    after="    model = Model() if checkpoint is None else load(Path(checkpoint['path']))",
)
def training_goes_on(context: CheckContext) -> None:
    fresh = require_training(context)
    resumed = context.require_ok(context.train(checkpoint=_require_artifact(context)))
    if not list_points(fresh):
        context.raise_vacuous("the plugin logged no points to compare")
    message = "with its own artifact as checkpoint, train() logged exactly the points of a run without one"
    context.expect(
        list_points(fresh) != list_points(resumed), message, signature="starts anew", where=context.locate_hook()
    )
    before, after = _read_curves(fresh), _read_curves(resumed)
    moving = [name for name, points in before.items() if len(set(points)) > 1 and name in after]
    message = (
        f"with its own artifact as checkpoint, train() began with the values of a new run: {', '.join(moving[:3])}"
    )
    is_restarted = moving and all(before[name][0] == after[name][0] for name in moving)
    context.expect(not is_restarted, message, signature="starts anew", where=context.locate_hook())


def _read_curves(observation: Observation) -> dict[str, list[Any]]:
    curves: dict[str, list[Any]] = {}
    for point in observation.recorder.metrics():
        curves.setdefault(f"{point['category']}/{point['key']}", []).append(point["value"])
    return curves


@check(
    id="TR214",
    title="training works without a checkpoint",
    clause=f"{_TRAIN}: checkpoint is None when there is nothing to go on from",
    why="Most jobs have no checkpoint.",
    fix="Test `if checkpoint is not None` before you read from it.",
    before="model = load(checkpoint['path'])",
    after="model = load(checkpoint['path']) if checkpoint else Model()",
)
def works_without_a_checkpoint(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    if find_blamed_check(observation) == "TR214":
        error = first_error(observation)
        message = f"train() reads from `checkpoint`, which is None here: {error}"
        context.fail(message, signature="checkpoint is None", where=locate_error(error))
    context.require_ok(observation)


@check(
    id="TR215",
    title="the same seed gives the same metrics",
    level="extended",
    needs={"deterministic"},
    clause=f"{_PLACE}: run.seed follows from the job's seed: seed your library with it",
    why="Otherwise no result can be reproduced, and trials cannot be compared.",
    fix="Seed every generator from run.seed: random.Random(run.seed), numpy.random.default_rng(run.seed).",
    before="rng = numpy.random.default_rng()",
    after="rng = numpy.random.default_rng(run.seed)",
    timeout_s=60.0,
)
def same_seed_same_metrics(context: CheckContext) -> None:
    first = require_training(context)
    if not list_points(first):
        context.raise_vacuous("the plugin logged no points to compare")
    again = context.require_ok(context.train(environment={"CONFORMANCE_AGAIN": "1"}))
    calls = zip(list_points(first), list_points(again), strict=False)
    differs = next(((one, other) for one, other in calls if one != other), None)
    message = f"two runs with the same seed differ: {differs}"
    same = differs is None and len(list_points(first)) == len(list_points(again))
    context.expect(same, message, signature="not repeatable", where=context.locate_hook())
