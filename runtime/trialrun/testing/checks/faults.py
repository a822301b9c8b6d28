"""TR5xx, under faults: a backend that is away or fails now and then, and a disk that is full."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from trialrun.run_dir import layout
from trialrun.testing.checks.shared import first_error, require_training
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check
from trialrun.testing.scenario import Fault, FaultKind

__all__: list[str] = []

_LOSSLESS = "docs/concepts/delivery.md: what a log_* call accepted reaches the backend exactly once"
_COUNTED = ("metric", "message", "visualization")
_ONE_BY_ONE: tuple[FaultKind, ...] = ("drop", "unavailable")  # was read, was not read
_TOGETHER: tuple[FaultKind, ...] = ("timeout", "refuse", "busy")  # was not read, said in other ways
_OUTAGE = 12  # calls in a row that get no answer
_MOST_CALLS = 16
_FULL = ("no space", "errno 28", "disk", "space left")


def _count_accepted(observation: Observation) -> Counter[str]:
    """What the calls of run took: it lies in the spools."""
    lines = (
        line
        for path in observation.folder.glob(f"results/*/{layout.SPOOL_DIR}/{layout.SPOOLS}")
        for line in path.read_bytes().splitlines()
    )
    events = (json.loads(line) for line in lines)
    return Counter(_event_key(event["kind"], event["data"], event["file"]) for event in events)


def _count_arrived(observation: Observation) -> Counter[str]:
    """What the backend has."""
    events = observation.recorder.events()
    return Counter(_event_key(event["event"], event["data"], event["file"]) for event in events)


def _event_key(kind: str, data: Any, file: str | None) -> str:
    if kind not in _COUNTED:
        return ""
    kept = {key: value for key, value in data.items() if key != "trial_id"}
    return json.dumps([kind, kept, len(file or "")], sort_keys=True, default=str)


def _is_lossless(observation: Observation) -> bool:
    return _count_lost(observation) == _count_duplicates(observation) == 0


def _count_lost(observation: Observation) -> int:
    return sum(count for mark, count in (_count_accepted(observation) - _count_arrived(observation)).items() if mark)


def _count_duplicates(observation: Observation) -> int:
    return sum(count for mark, count in (_count_arrived(observation) - _count_accepted(observation)).items() if mark)


def _run_without_faults(context: CheckContext) -> Observation:
    """The same run with a backend that is well: what is lost there is not lost by a fault."""
    observation = require_training(context)
    if not observation.calls:
        context.raise_vacuous("the plugin reports nothing that could be lost")
    if not _is_lossless(observation):
        context.raise_vacuous("events are lost or doubled without any fault: see TR407")
    return observation


def _find_first_log(observation: Observation) -> int:
    calls = observation.facts.get("backend_calls", ())
    return next((number for number, call in enumerate(calls, 1) if "logs" in call), 1)


def _expect_lossless(context: CheckContext, observation: Observation, how: str, signature: str) -> None:
    error = first_error(observation)
    where = (error.where if error else None) or context.locate_hook()
    context.expect(
        observation.ok, f"{how}, the run did not succeed: {observation.status_text}", signature=signature, where=where
    )
    lost, doubled = _count_lost(observation), _count_duplicates(observation)
    context.expect(not lost, f"{how}, {lost} events were lost", signature=f"{signature}: lost", where=where)
    context.expect(not doubled, f"{how}, {doubled} events came twice", signature=f"{signature}: doubled", where=where)


@check(
    id="TR501",
    title="ends and loses nothing while the backend is away",
    clause=_LOSSLESS,
    why="Backends are updated while trainings run for days: these must not notice, and their curves must be whole.",
    fix="Use run for all that you report, and do not wait for the backend, nor change how trialrun talks to it.",
    before="requests.post(URL, json=metrics).raise_for_status()",
    after="run.log_metric(…)",
    timeout_s=40.0,
)
def survives_an_outage(context: CheckContext) -> None:
    calm = _run_without_faults(context)
    first = _find_first_log(calm)
    observation = context.train(faults=(Fault(kind="unavailable", first=first, last=first + _OUTAGE - 1),))
    struck = len(observation.facts.get("backend_struck", ()))
    context.note(calls_without_answer=struck, events=sum(_count_accepted(calm).values()))
    if observation.has_ended and not struck:
        context.raise_vacuous("no call of the backend was made while it was away")
    _expect_lossless(context, observation, "with the backend away", "outage")


@check(
    id="TR502",
    title="loses nothing whichever call of the backend fails",
    level="extended",
    clause=_LOSSLESS,
    why="Any call can fail, or be answered into a connection that is gone. None may cost or double a point.",
    fix="Use run for all that you report, and do not change how trialrun talks to the backend.",
    before="client.post = post_without_key",
    after="run.log_metric(…)",
    timeout_s=240.0,
)
def survives_every_failing_call(context: CheckContext) -> None:
    calm = _run_without_faults(context)
    count = min(len(calm.facts.get("backend_calls", ())), _MOST_CALLS)
    struck = 0
    for kind, numbers in _schedule_faults(count):
        observation = context.train(faults=tuple(Fault(kind=kind, first=number, last=number) for number in numbers))
        struck += len(observation.facts.get("backend_struck", ()))
        which = f"call {numbers[0]}" if len(numbers) == 1 else "every other call"
        _expect_lossless(context, observation, f"with {which} of the backend failing ({kind})", f"fault: {kind}")
    context.note(calls=count, faults=struck)
    if not struck:
        context.raise_vacuous("no call of the backend could be made to fail")


def _schedule_faults(count: int) -> Iterator[tuple[FaultKind, tuple[int, ...]]]:
    """Which calls fail in which run, and how: one call per run, each in turn; then several at once."""
    for kind in _ONE_BY_ONE:
        for number in range(1, count + 1):
            yield kind, (number,)
    for kind in _TOGETHER:
        for first in (1, 2):
            yield kind, tuple(range(first, 2 * count, 2))


@check(
    id="TR503",
    title="a full disk is told of",
    clause="docs/how-to/plugins.md#train: returns the path of its artifact",
    why="An artifact that was cut short looks like a model until somebody loads it, weeks later.",
    fix="Let the OSError of a failed write pass.",
    before="try:\n    save(model, path)\nexcept OSError:\n    pass",
    after="save(model, path)",
)
def full_disk_is_reported(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(options={"full": True})
    struck = int(observation.facts.get("disk_struck", 0))
    context.note(writes_refused=struck)
    if observation.has_ended and not struck:
        context.raise_not_applicable("the plugin writes its artifact in a way that Python does not see")
    error = first_error(observation)
    where = (error.where if error else None) or context.locate_hook()
    message = "no space was left for the artifact, and the run succeeded all the same"
    context.expect(not observation.ok, message, signature="full disk unnoticed", where=where)
    told = f"{observation.error} {error} {error.traceback if error else ''}".lower() if observation.has_ended else ""
    message = f"no space was left for the artifact, and the error does not say so: {error or observation.status_text}"
    context.expect(any(word in told for word in _FULL), message, signature="full disk unclear", where=where)
