"""TR2xx, training: interrupts, exceptions, and what a run leaves behind."""

from __future__ import annotations

from typing import Any

from trialrun.testing.checks.shared import (
    RUN_METHODS,
    locate_call,
    require_training,
    run_jobs,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check
from trialrun.testing.verdicts import Vacuous

__all__: list[str] = []

_PLACE = "docs/how-to/plugins.md#where-it-runs"
_MOST_CALLS = 5


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
    for observation in run_jobs(context):
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
