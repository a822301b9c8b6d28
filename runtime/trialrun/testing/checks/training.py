"""TR2xx, training: one model, made from what was given, with nothing left behind."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from trialrun.testing.checks.shared import (
    RUN_METHODS,
    find_blamed_check,
    first_error,
    list_points,
    locate_call,
    mentions_name,
    require_load,
    require_training,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import ErrorRecord, Observation
from trialrun.testing.registry import check
from trialrun.testing.verdicts import Vacuous

__all__: list[str] = []

_TRAIN = "docs/how-to/plugins.md#train"
_RUN = "docs/how-to/plugins.md#the-run"
_PLACE = "docs/how-to/plugins.md#where-it-runs"
_MOST_CALLS = 5


@check(
    id="TR201",
    title="training comes to its end",
    clause=f"{_TRAIN}: train() trains one model and returns",
    why="This is what the platform runs first.",
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
        told = str(error) if observation.has_ended and error else observation.status_text
        context.fail(
            f"train() failed: {told}", signature=f"train: {kind}", where=_locate_error(error) or context.locate_hook()
        )
    if owner and has_hook_failed(observation):
        context.raise_vacuous(f"train() failed: see {owner}")
    context.note(seconds=round(observation.seconds, 2), calls=len(observation.calls))


def has_hook_failed(observation: Observation) -> bool:
    return bool(observation.hook_errors) or not observation.has_ended


def _locate_error(error: ErrorRecord | None) -> tuple[str, int] | None:
    return error.where if error else None


@check(
    id="TR202",
    title="training returns an artifact that can be uploaded",
    clause=f"{_TRAIN}: returns the path of its artifact, a file or a folder",
    why="The artifact is the model. A path that is absent, empty, or links elsewhere cannot be uploaded.",
    fix="Write the model into Path(run.checkpoint_output) and return that path.",
    before="return 'model.pt'  # was written elsewhere",
    after="path = Path(run.checkpoint_output)\nsave(model, path)\nreturn str(path)",
)
def artifact_can_be_uploaded(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    if find_blamed_check(observation) == "TR202":
        context.fail(
            f"the artifact cannot be used: {observation.status_text}", signature="artifact", where=context.locate_hook()
        )
    context.require_ok(observation)
    context.note(models=len(observation.recorder.models()))


@check(
    id="TR203",
    title="the artifact lies in the run's own folder",
    clause="docs/how-to/plugins.md#tune: an artifact outside what the job may read is an error",
    why="A fixed path is shared by all runs of the machine: the next one overwrites this model while it is uploaded.",
    fix="Write to run.checkpoint_output, or to a relative path: each run has a working folder of its own.",
    before='path = Path("/tmp/model")',
    after="path = Path(run.checkpoint_output)",
)
def artifact_is_the_runs_own(context: CheckContext) -> None:
    observation = require_training(context)
    path = observation.artifact_path
    if path is None:
        context.raise_vacuous("no artifact was seen")
    own = Path(observation.hook_calls[-1]["cwd"]).resolve()
    message = f"the artifact is at {path}, outside the run's folder"
    context.expect(
        path.resolve().is_relative_to(own), message, signature="artifact outside", where=context.locate_hook()
    )


@check(
    id="TR204",
    title="training logs a metric",
    clause=f"{_RUN}: run.log_metric",
    why="Without one there is no curve: nobody sees whether the model learns, during or after the run.",
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
    title="every value handed to run is one that can be recorded",
    clause=f"{_RUN}: a value that cannot be recorded raises BadValue and is not sent",
    why="NaN, infinities, arrays and text are no points of a curve: they are refused, or lost in silence when caught.",
    fix="Log finite numbers: float(loss). When a value is not finite, say so with run.log_message() instead.",
    before='run.log_metric("train", "loss", float("nan"))',
    after='if math.isfinite(loss):\n    run.log_metric("train", "loss", loss)',
)
def values_can_be_recorded(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        calls = context.require_calls(observation, "log_metric", "report", "log_trials", least=0)
        for call in calls:
            if str(call["raised"] or "").startswith("BadValue"):
                context.fail(
                    f"run.{call['name']} refused: {call['raised']}", signature="bad value", where=locate_call(call)
                )


def _run_jobs(context: CheckContext) -> Iterator[Observation]:
    """The training run, and the trials of a plugin that tunes."""
    require_load(context)
    observation = context.train()
    yield observation
    if "tune" in context.load().hook_signatures:
        yield context.tune()


@check(
    id="TR206",
    title="metric keys stay the same from epoch to epoch",
    clause=f"{_RUN}: a metric is a category, a key and a value; what varies goes into the extra values",
    why="Each key is a curve. A key with the epoch in it makes as many curves of one point as there are epochs.",
    fix="Put the number into the extra values: log_metric(category, key, value, epoch=epoch).",
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
    title="progress never falls and ends at its total",
    clause=f"{_RUN}: run.set_progress says how far a phase is; never goes backwards",
    why="The time that remains is computed from it. What falls is ignored, and what stays below its total looks stuck.",
    fix="Call run.set_progress(done, total) after each step, with done from 1 to total.",
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
        context.raise_not_applicable("the plugin says nothing of its progress")
    for category, steps in phases.items():
        for (before, _), (after, call) in pairwise(steps):
            message = f"progress {category!r} fell from {before:.0%} to {after:.0%}"
            context.expect(after >= before, message, signature="progress falls", where=locate_call(call))
        last, call = steps[-1]
        message = f"progress {category!r} ended at {last:.0%}"
        context.expect(math.isclose(last, 1.0), message, signature="progress off its total", where=locate_call(call))


def _parse_progress(call: Mapping[str, Any]) -> tuple[float, float, str]:
    given = dict(zip(("current", "total", "category"), call["args"], strict=False)) | call["kwargs"]
    return float(given.get("current", 0)), float(given.get("total", 0)), str(given.get("category", ""))


@check(
    id="TR208",
    title="the hyperparameters stay as they were given",
    clause=f"{_TRAIN}: plain Python values, recorded with the model",
    why="What is written into them was not asked for, and a caller that keeps the dict trains with other values.",
    fix="Make a copy: settings = {**defaults, **hyperparameter}.",
    before='lr = hyperparameter.pop("lr")',
    after='lr = hyperparameter["lr"]',
)
def hyperparameters_stay(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        for hook in context.require_ok(observation).hook_calls:
            same = hook["hyperparameter_before"] == hook["hyperparameter_after"]
            message = f"{hook['hook']}() changed its hyperparameters to {hook['hyperparameter_after']}"
            context.expect(same, message, signature="hyperparameter changed", where=context.locate_hook(hook["hook"]))


@check(
    id="TR209",
    title="the dataset stays as it was given",
    clause=f"{_TRAIN}: trials share it, so leave it as it is",
    why="One dataset serves all trials of a worker: the second trial trains on what the first one left.",
    fix="Work on a copy: rows = list(dataset['train']).",
    before="dataset['train'].pop()",
    after="rows = dataset['train'][:-1]",
)
def dataset_stays(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        for hook in context.require_ok(observation).hook_calls:
            same = hook["dataset_hash_before"] == hook["dataset_hash_after"]
            message = f"{hook['hook']}() changed the dataset in place"
            context.expect(same, message, signature="dataset changed", where=context.locate_hook(hook["hook"]))


def _flatten_leaves(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flatten_leaves(value, f"{above}{key}/")
        else:
            yield f"{above}{key}", value


def _replace_value(nested: Mapping[str, Any], path: str, *value: Any) -> dict[str, Any]:
    """A copy without what is at `path`, or with `value` there."""
    head, _, rest = path.partition("/")
    if rest:
        return {**nested, head: _replace_value(nested[head], rest, *value)}
    kept = {key: item for key, item in nested.items() if key != head}
    return {**kept, head: value[0]} if value else kept


@check(
    id="TR210",
    title="a missing hyperparameter is named",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="The author of the job sees only the error. `NoneType is not iterable` does not tell what to add.",
    fix="Give it a default, or raise an error with its name.",
    before='range(hyperparameter.get("epochs"))',
    after='epochs = hyperparameter["epochs"]  # KeyError names it',
    timeout_s=90.0,
)
def missing_hyperparameter_is_named(context: CheckContext) -> None:
    require_training(context)
    given = dict(context.target.hyperparameter or {})
    names = [name for name, _ in _flatten_leaves(given)]
    if not names:
        context.raise_not_applicable("the plugin is checked without hyperparameters")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(given, name))
        if not observation.ok:
            _expect_named(context, observation, name, "without", "missing hyperparameter")


@check(
    id="TR211",
    title="a hyperparameter of the wrong type is named",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="A number in quotes is the most common mistake in a job. Taken in silence, it trains another model.",
    fix="Check the type at the start, and raise ValueError with the name and the value.",
    before='epochs = int(hyperparameter["epochs"])',
    after='if not isinstance(epochs, int):\n    raise ValueError(f"epochs must be an int, got {epochs!r}")',
    timeout_s=90.0,
)
def wrong_type_is_named(context: CheckContext) -> None:
    require_training(context)
    given = dict(context.target.hyperparameter or {})
    names = [name for name, value in _flatten_leaves(given) if type(value) in (int, float)]
    if not names:
        context.raise_not_applicable("the plugin is checked without a number among its hyperparameters")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(given, name, "a few"))
        message = f"{name!r} was text where a number belongs, and train() took it in silence"
        context.expect(not observation.ok, message, signature="wrong type accepted", where=context.locate_hook())
        _expect_named(context, observation, name, "with a text for", "wrong type")


def _expect_named(context: CheckContext, observation: Observation, name: str, how: str, signature: str) -> None:
    error = first_error(observation)
    told = str(error) if error and observation.has_ended else observation.status_text
    message = f"{how} {name!r}, train() failed with an error that does not name it: {told}"
    context.expect(
        observation.has_ended and mentions_name(told, name),
        message,
        signature=signature,
        where=_locate_error(error) or context.locate_hook(),
    )


@check(
    id="TR212",
    title="training takes the artifact that it made",
    clause=f"{_TRAIN}: checkpoint is None, or the model to go on from, with `path`, the folder it was unpacked to",
    why="Any job may name a model to start from. What was saved must be what is read.",
    fix="Read from Path(checkpoint['path']), a folder that holds the artifact's file or the content of its folder.",
    before="model = load(checkpoint)",
    after="model = load(Path(checkpoint['path']) / 'model.pt')",
)
def training_takes_its_artifact(context: CheckContext) -> None:
    observation = context.train(checkpoint=_require_artifact(context))
    error = first_error(observation)
    where = _locate_error(error) or context.locate_hook()
    context.expect(
        observation.ok,
        f"given its own artifact, train() failed: {observation.status_text}",
        signature="resume",
        where=where,
    )


def _require_artifact(context: CheckContext) -> Path:
    path = require_training(context).artifact_path
    if path is None:
        context.raise_vacuous("no artifact was seen")
    return path


@check(
    id="TR213",
    title="training goes on from its checkpoint",
    needs={"resumes"},
    clause=f"{_TRAIN}: checkpoint is the model to go on from",
    why="A run that starts anew in silence costs its hours twice, and its model is not the one that was asked for.",
    fix="Load the weights and the epoch, and go on from there; or declare no 'resumes'.",
    before="def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    model = Model()",
    after="    model = Model() if checkpoint is None else load(Path(checkpoint['path']))",
)
def training_goes_on(context: CheckContext) -> None:
    fresh = require_training(context)
    resumed = context.require_ok(context.train(checkpoint=_require_artifact(context)))
    if not list_points(fresh):
        context.raise_vacuous("nothing was logged that could be compared")
    message = "with its own artifact as checkpoint, train() logged exactly what it logs without one"
    context.expect(
        list_points(fresh) != list_points(resumed), message, signature="starts anew", where=context.locate_hook()
    )
    before, after = _read_curves(fresh), _read_curves(resumed)
    moving = [name for name, points in before.items() if len(set(points)) > 1 and name in after]
    message = f"with its own artifact as checkpoint, train() began with the same values again: {', '.join(moving[:3])}"
    anew = moving and all(before[name][0] == after[name][0] for name in moving)
    context.expect(not anew, message, signature="starts anew", where=context.locate_hook())


def _read_curves(observation: Observation) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for point in observation.recorder.metrics():
        found.setdefault(f"{point['category']}/{point['key']}", []).append(point["value"])
    return found


@check(
    id="TR214",
    title="training works without a checkpoint",
    clause=f"{_TRAIN}: checkpoint is None when there is nothing to go on from",
    why="Most jobs have none.",
    fix="Ask `if checkpoint is not None` before you read from it.",
    before="model = load(checkpoint['path'])",
    after="model = load(checkpoint['path']) if checkpoint else Model()",
)
def works_without_a_checkpoint(context: CheckContext) -> None:
    require_load(context)
    observation = context.train()
    if find_blamed_check(observation) == "TR214":
        error = first_error(observation)
        message = f"train() reads from `checkpoint`, which is None: {error}"
        context.fail(message, signature="checkpoint is None", where=_locate_error(error))
    context.require_ok(observation)


@check(
    id="TR215",
    title="the same seed gives the same metrics",
    level="extended",
    needs={"deterministic"},
    clause=f"{_PLACE}: run.seed follows from the job's seed: seed your library with it",
    why="Without it no result can be repeated, and no two trials be compared.",
    fix="Seed every generator from run.seed: random.Random(run.seed), numpy.random.default_rng(run.seed).",
    before="rng = numpy.random.default_rng()",
    after="rng = numpy.random.default_rng(run.seed)",
    timeout_s=60.0,
)
def same_seed_same_metrics(context: CheckContext) -> None:
    first = require_training(context)
    if not list_points(first):
        context.raise_vacuous("nothing was logged that could be compared")
    again = context.require_ok(context.train(environment={"CONFORMANCE_AGAIN": "1"}))
    calls = zip(list_points(first), list_points(again), strict=False)
    differs = next(((one, other) for one, other in calls if one != other), None)
    message = f"two runs with one seed differ: {differs}"
    same = differs is None and len(list_points(first)) == len(list_points(again))
    context.expect(same, message, signature="not repeatable", where=context.locate_hook())


@check(
    id="TR216",
    title="Ctrl-C reaches the engine",
    clause="docs/how-to/plugins.md#where-it-runs: Ctrl-C once stops cleanly",
    why="A plugin that catches it goes on, and the job can only be killed, without its state being saved.",
    fix="Catch Exception, not BaseException and not KeyboardInterrupt; clean up in `finally`.",
    before="except KeyboardInterrupt:\n    print('stopping early')",
    after="finally:\n    loader.close()",
    timeout_s=90.0,
)
def interrupt_reaches_the_engine(context: CheckContext) -> None:
    count = _count_method_calls(require_training(context))
    for number in sorted({1, count}):
        observation = context.train(interrupt_at=number)
        if _find_raising_calls(observation) and (observation.ok or observation.timed_out):
            call = _find_raising_calls(observation)[-1]
            message = (
                f"KeyboardInterrupt came out of run.{call['name']}, and train() went on: {observation.status_text}"
            )
            context.fail(message, signature="interrupt swallowed", where=locate_call(call))


def _count_method_calls(observation: Observation) -> int:
    count = sum(call["name"] in RUN_METHODS for call in observation.calls)
    if not count:
        raise Vacuous("the plugin does not call run: there is nowhere to interrupt it")
    return count


def _find_raising_calls(observation: Observation) -> list[dict[str, Any]]:
    return [call for call in observation.calls if call["raised"]]


@check(
    id="TR217",
    title="training leaves no thread and no process behind",
    clause=f"{_PLACE}: worker processes are used for one trial after another",
    why="They go on while the next trial runs, hold its memory and its files, and nobody ends them.",
    fix="End what you start: `with Pool() as pool`, loader.close(), thread.join().",
    before="threading.Thread(target=prefetch).start()",
    after="with ThreadPoolExecutor() as pool: ...",
)
def nothing_is_left_running(context: CheckContext) -> None:
    _expect_nothing_left(context, require_training(context), "train() returned", "")


def _expect_nothing_left(context: CheckContext, observation: Observation, when: str, suffix: str) -> None:
    threads = _list_threads_left(observation)
    context.expect(
        not threads,
        f"after {when}, a thread still ran: {threads[:3]}",
        signature=f"thread left{suffix}",
        where=context.locate_hook(),
    )
    left = [command for command in observation.processes_left if "resource_tracker" not in command]
    context.expect(
        not left,
        f"after {when}, a process still ran: {left[:3]}",
        signature=f"process left{suffix}",
        where=context.locate_hook(),
    )


@check(
    id="TR218",
    title="nothing is written outside the run's folder",
    clause=f"{_PLACE}: each trial runs in a folder of its own",
    why="Two runs on one machine overwrite each other's files, and nobody clears them away.",
    fix="Use relative paths, run.checkpoint_output, or tempfile for what may go.",
    before='Path.home() / "results.csv"',
    after='Path("results.csv")  # in the run\'s own folder',
)
def nothing_is_written_outside(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        artifacts = [str(hook.get(key)) for hook in observation.hook_calls for key in ("artifact", "checkpoint_output")]
        for found in context.require_ok(observation).files_outside:
            if found["phase"] != "run" or _is_excused(found["path"], artifacts):
                continue
            where = tuple(found["where"]) if found["where"] else context.locate_hook()
            message = f"{found['path']} was written, outside the run's folder"
            context.fail(message, signature="file outside", where=where)


def _is_excused(path: str, artifacts: list[str]) -> bool:
    """Caches of libraries, and artifacts: where those may be is told elsewhere."""
    cached = "/.cache/" in path or "__pycache__" in path or path.startswith("/dev/shm/")  # noqa: S108  # not ours
    return cached or any(path == root or path.startswith(f"{root}/") for root in artifacts if root != "None")


@check(
    id="TR219",
    title="cleans up after an exception at any of its calls",
    clause=f"{_PLACE}: worker processes are used for one trial after another",
    why="A full disk or a stop can surface at every call of run. Code after the loop does not run then.",
    fix="Use `with`, or `finally`.",
    before="loader.start()\nfor epoch in …: run.log_metric(…)\nloader.stop()",
    after="with loader:\n    for epoch in …: run.log_metric(…)",
    timeout_s=90.0,
)
def cleans_up_after_an_exception(context: CheckContext) -> None:
    calm = require_training(context)
    count = _count_method_calls(calm)
    if calm.processes_left or _list_threads_left(calm):
        context.raise_vacuous("it leaves something behind without an exception: see TR217")
    context.note(calls=count)
    for number in _sample_numbers(count):
        observation = context.train(raise_at=(number, "OSError"))
        message = f"an exception at call {number} of run, and train() did not come to an end"
        context.expect(
            not observation.timed_out, message, signature="hangs after exception", where=context.locate_hook()
        )
        _expect_nothing_left(context, observation, "an exception in train()", " after exception")


def _list_threads_left(observation: Observation) -> list[str]:
    return [
        name for hook in observation.hook_calls for name in hook["threads_left"] if name in observation.threads_left
    ]


def _sample_numbers(count: int) -> list[int]:
    """All of a few, else the first, the last, and some between."""
    if count <= _MOST_CALLS:
        return list(range(1, count + 1))
    return sorted({1 + (count - 1) * step // (_MOST_CALLS - 1) for step in range(_MOST_CALLS)})


@check(
    id="TR220",
    title="an error of run is not swallowed",
    level="extended",
    clause="docs/how-to/plugins.md#the-run: what a call accepted is sent; what it raises was not",
    why="A run whose metrics could not be written looks successful, with half of its curve missing.",
    fix="Catch the error that you expect (BadValue), or none.",
    before="try:\n    run.log_metric(…)\nexcept Exception:\n    pass",
    after="run.log_metric(…)",
    timeout_s=40.0,
)
def errors_are_not_swallowed(context: CheckContext) -> None:
    count = _count_method_calls(require_training(context))
    for number in _sample_numbers(count):
        observation = context.train(raise_at=(number, "OSError"))
        if observation.ok and _find_raising_calls(observation):
            call = _find_raising_calls(observation)[0]
            context.fail(
                f"an OSError out of run.{call['name']} was swallowed",
                signature="error swallowed",
                where=locate_call(call),
            )


_ABOUT_DATA = ("dataset", "data set", "row", "categor", "sample", "record", "example", "empty", "no data")


@check(
    id="TR221",
    title="a dataset without its rows is told of",
    level="extended",
    clause=f"{_TRAIN}: dataset is a dict from category to rows",
    why="A wrong dataset id is a common mistake; `division by zero` sends its author looking in the wrong place.",
    fix="Check for rows at the start, and name the category that you need.",
    before="loss = total / len(rows)",
    after='if not rows:\n    raise ValueError("the dataset has no rows of category train")',
)
def missing_rows_are_reported(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(dataset=[{"category": "conformance", "data": {}}])
    if observation.ok:
        return  # it can do without
    error = first_error(observation)
    told = str(error) if error and observation.has_ended else observation.status_text
    named = any(word in told.lower() for word in _ABOUT_DATA) or any(
        mentions_name(told, c) for c in _list_categories(context)
    )
    message = f"with a dataset of another category, train() failed with an error that does not say so: {told}"
    context.expect(
        observation.has_ended and named,
        message,
        signature="dataset error",
        where=_locate_error(error) or context.locate_hook(),
    )


def _list_categories(context: CheckContext) -> set[str]:
    rows = context.train().scenario.dataset
    known = {str(row.get("category")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else set()
    return known | {"train", "training", "validation", "test"}


@check(
    id="TR222",
    title="works with any name of the job",
    clause="docs/how-to/jobs.md: the name is any text that is not blank",
    why="People write slashes, spaces and dates into names; as a file name that is another folder, or an error.",
    fix="Do not make file names of run.name: each run has a folder of its own already.",
    before='Path(f"{run.name}.pt")',
    after='Path("model.pt")',
)
def any_job_name_works(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(name="a/b: c, 100 %; ünï")
    where = _locate_error(first_error(observation)) or context.locate_hook()
    context.expect(
        observation.ok,
        f"with a slash in the job's name, train() failed: {observation.status_text}",
        signature="job name",
        where=where,
    )
