"""TR2xx, training: one model from the given arguments, and nothing left behind."""

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
            f"train() failed: {text}", signature=f"train: {kind}", where=_locate_error(error) or context.locate_hook()
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
    for observation in _run_jobs(context):
        calls = context.require_calls(observation, "log_metric", "report", "log_trials", least=0)
        for call in calls:
            if str(call["raised"] or "").startswith("BadValue"):
                context.fail(
                    f"run.{call['name']} refused: {call['raised']}", signature="bad value", where=locate_call(call)
                )


def _run_jobs(context: CheckContext) -> Iterator[Observation]:
    """Yield the training run, and the tuning run of a plugin with tune()."""
    require_load(context)
    observation = context.train()
    yield observation
    if "tune" in context.load().hook_signatures:
        yield context.tune()


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
    given = dict(zip(("current", "total", "category"), call["args"], strict=False)) | call["kwargs"]
    return float(given.get("current", 0)), float(given.get("total", 0)), str(given.get("category", ""))


@check(
    id="TR208",
    title="leaves the hyperparameters unchanged",
    clause=f"{_TRAIN}: plain Python values, recorded with the model",
    why="The changed values are not those of the job, and a caller that reuses the dict trains with them.",
    fix="Change a copy: settings = {**defaults, **hyperparameter}.",
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
    title="leaves the dataset unchanged",
    clause=f"{_TRAIN}: trials share it, so leave it as it is",
    why="All trials of a worker share one dataset: the second trial trains on the rows that the first one changed.",
    fix="Change a copy: rows = list(dataset['train']).",
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
    """Return a copy without the value at `path`, or with `value` there."""
    head, _, rest = path.partition("/")
    if rest:
        return {**nested, head: _replace_value(nested[head], rest, *value)}
    kept = {key: item for key, item in nested.items() if key != head}
    return {**kept, head: value[0]} if value else kept


@check(
    id="TR210",
    title="an error names the missing hyperparameter",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="The author of a job sees only the error. `NoneType is not iterable` does not say which value is missing.",
    fix="Use a default, or raise an error that contains the name.",
    before='range(hyperparameter.get("epochs"))',
    after='epochs = hyperparameter["epochs"]  # KeyError names it',
    timeout_s=90.0,
)
def missing_hyperparameter_is_named(context: CheckContext) -> None:
    require_training(context)
    given = dict(context.target.hyperparameter or {})
    names = [name for name, _ in _flatten_leaves(given)]
    if not names:
        context.raise_not_applicable("the checks use no hyperparameters")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(given, name))
        if not observation.ok:
            _expect_named(context, observation, name, "without", "missing hyperparameter")


@check(
    id="TR211",
    title="an error names the hyperparameter of the wrong type",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="A number in quotes is a common mistake in jobs. Accepted silently, it trains another model.",
    fix="Check the type at the start, and raise ValueError with name and value.",
    before='epochs = int(hyperparameter["epochs"])',
    after='if not isinstance(epochs, int):\n    raise ValueError(f"epochs must be an int, got {epochs!r}")',
    timeout_s=90.0,
)
def wrong_type_is_named(context: CheckContext) -> None:
    require_training(context)
    given = dict(context.target.hyperparameter or {})
    names = [name for name, value in _flatten_leaves(given) if type(value) in (int, float)]
    if not names:
        context.raise_not_applicable("the checks use no hyperparameter that is a number")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(given, name, "a few"))
        message = f"{name!r} was text instead of a number, and train() accepted it"
        context.expect(not observation.ok, message, signature="wrong type accepted", where=context.locate_hook())
        _expect_named(context, observation, name, "with a text for", "wrong type")


def _expect_named(context: CheckContext, observation: Observation, name: str, how: str, signature: str) -> None:
    error = first_error(observation)
    text = str(error) if error and observation.has_ended else observation.status_text
    message = f"{how} {name!r}, train() failed with an error that does not name it: {text}"
    context.expect(
        observation.has_ended and mentions_name(text, name),
        message,
        signature=signature,
        where=_locate_error(error) or context.locate_hook(),
    )


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
    where = _locate_error(error) or context.locate_hook()
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
        context.fail(message, signature="checkpoint is None", where=_locate_error(error))
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


@check(
    id="TR216",
    title="Ctrl-C reaches the engine",
    clause="docs/how-to/plugins.md#where-it-runs: Ctrl-C once stops cleanly",
    why="A plugin that catches it continues. The job can then only be killed, and its state is lost.",
    fix="Catch Exception, never BaseException or KeyboardInterrupt. Clean up in `finally`.",
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
            message = f"run.{call['name']} raised KeyboardInterrupt, but train() continued: {observation.status_text}"
            context.fail(message, signature="interrupt swallowed", where=locate_call(call))


def _count_method_calls(observation: Observation) -> int:
    count = sum(call["name"] in RUN_METHODS for call in observation.calls)
    if not count:
        raise Vacuous("the plugin does not call run, so no call can raise")
    return count


def _find_raising_calls(observation: Observation) -> list[dict[str, Any]]:
    return [call for call in observation.calls if call["raised"]]


@check(
    id="TR217",
    title="training leaves no thread and no process behind",
    clause=f"{_PLACE}: worker processes are used for one trial after another",
    why="They continue during the next trial, occupy memory and files, and nothing stops them.",
    fix="Stop what you start: `with Pool() as pool`, loader.close(), thread.join().",
    before="threading.Thread(target=prefetch).start()",
    after="with ThreadPoolExecutor() as pool: ...",
)
def nothing_is_left_running(context: CheckContext) -> None:
    _expect_nothing_left(context, require_training(context), "the end of train()", "")


def _expect_nothing_left(context: CheckContext, observation: Observation, when: str, suffix: str) -> None:
    threads = _list_threads_left(observation)
    context.expect(
        not threads,
        f"a thread still ran after {when}: {threads[:3]}",
        signature=f"thread left{suffix}",
        where=context.locate_hook(),
    )
    left = [command for command in observation.processes_left if "resource_tracker" not in command]
    context.expect(
        not left,
        f"a process still ran after {when}: {left[:3]}",
        signature=f"process left{suffix}",
        where=context.locate_hook(),
    )


@check(
    id="TR218",
    title="writes no file outside the run's folder",
    clause=f"{_PLACE}: each trial runs in a folder of its own",
    why="Two runs on one machine overwrite each other's files, and nothing removes them.",
    fix="Use relative paths, run.checkpoint_output, or tempfile for temporary data.",
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
            message = f"the plugin wrote {found['path']}, outside the run's folder"
            context.fail(message, signature="file outside", where=where)


def _is_excused(path: str, artifacts: list[str]) -> bool:
    """Return whether a path is a library's cache or an artifact, whose place TR203 checks."""
    cached = "/.cache/" in path or "__pycache__" in path or path.startswith("/dev/shm/")  # noqa: S108  # not ours
    return cached or any(path == root or path.startswith(f"{root}/") for root in artifacts if root != "None")


@check(
    id="TR219",
    title="cleans up after an exception at any call of run",
    clause=f"{_PLACE}: worker processes are used for one trial after another",
    why="A full disk or a stop can raise at every call of run, and code after the loop then does not run.",
    fix="Clean up with `with` or `finally`.",
    before="loader.start()\nfor epoch in …: run.log_metric(…)\nloader.stop()",
    after="with loader:\n    for epoch in …: run.log_metric(…)",
    timeout_s=90.0,
)
def cleans_up_after_an_exception(context: CheckContext) -> None:
    calm = require_training(context)
    count = _count_method_calls(calm)
    if calm.processes_left or _list_threads_left(calm):
        context.raise_vacuous("it leaves a thread or process behind without an exception: see TR217")
    context.note(calls=count)
    for number in _sample_numbers(count):
        observation = context.train(raise_at=(number, "OSError"))
        message = f"train() did not end after an exception at call {number} of run"
        context.expect(
            not observation.timed_out, message, signature="hangs after exception", where=context.locate_hook()
        )
        _expect_nothing_left(context, observation, "an exception in train()", " after exception")


def _list_threads_left(observation: Observation) -> list[str]:
    return [
        name for hook in observation.hook_calls for name in hook["threads_left"] if name in observation.threads_left
    ]


def _sample_numbers(count: int) -> list[int]:
    """Return all of a few numbers, else the first, the last, and some between."""
    if count <= _MOST_CALLS:
        return list(range(1, count + 1))
    return sorted({1 + (count - 1) * step // (_MOST_CALLS - 1) for step in range(_MOST_CALLS)})


@check(
    id="TR220",
    title="does not suppress an error of run",
    level="extended",
    clause="docs/how-to/plugins.md#the-run: an accepted event is sent; a refused one raises",
    why="A run that could not write its metrics looks successful, although half of its curve is missing.",
    fix="Catch only the error that you expect (BadValue), or none.",
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
                f"train() suppressed an OSError of run.{call['name']}",
                signature="error swallowed",
                where=locate_call(call),
            )


_ABOUT_DATA = ("dataset", "data set", "row", "categor", "sample", "record", "example", "empty", "no data")


@check(
    id="TR221",
    title="an error names the missing rows of a dataset",
    level="extended",
    clause=f"{_TRAIN}: dataset is a dict from category to rows",
    why="A wrong dataset id is a common mistake, and `division by zero` does not point to it.",
    fix="Check for rows at the start, and name the missing category in the error.",
    before="loss = total / len(rows)",
    after='if not rows:\n    raise ValueError("the dataset has no rows of category train")',
)
def missing_rows_are_reported(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(dataset=[{"category": "conformance", "data": {}}])
    if observation.ok:
        return  # it needs no rows
    error = first_error(observation)
    text = str(error) if error and observation.has_ended else observation.status_text
    named = any(word in text.lower() for word in _ABOUT_DATA) or any(
        mentions_name(text, c) for c in _list_categories(context)
    )
    message = f"with a dataset of another category, train() failed with an error that does not say so: {text}"
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
    title="works with any job name",
    clause="docs/how-to/jobs.md: the name is any text that is not blank",
    why="Job names contain slashes, spaces and dates. In a file name these mean another folder, or an error.",
    fix="Do not derive file names from run.name: each run already has its own folder.",
    before='Path(f"{run.name}.pt")',
    after='Path("model.pt")',
)
def any_job_name_works(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(name="a/b: c, 100 %; ünï")
    where = _locate_error(first_error(observation)) or context.locate_hook()
    context.expect(
        observation.ok,
        f"train() failed with a slash in the job's name: {observation.status_text}",
        signature="job name",
        where=where,
    )
