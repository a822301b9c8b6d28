"""TR4xx, reporting: what arrives can be read, and is no more than a backend can take."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import pairwise

from trialrun.events import flatten_mapping
from trialrun.numbers import is_number
from trialrun.plugins.config_yaml import load_yaml
from trialrun.run_dir import layout
from trialrun.testing.checks.contract import find_config_file
from trialrun.testing.checks.shared import group_reports, locate_call, require_load, require_training, require_tuning
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check
from trialrun.trials import METRIC_COLUMNS, RESULT_KEYS

__all__: list[str] = []

_RUN = "docs/how-to/plugins.md#the-run"
BIGGEST_ENTRY = 1_000_000  # bytes of one entry without its image
BIGGEST_IMAGE = 4_000_000
BIGGEST_OUTPUT = 1_000_000
MOST_A_SECOND = 500


def _run_jobs(context: CheckContext) -> Iterator[Observation]:
    yield require_training(context)
    if "tune" in context.load().hook_signatures:
        yield context.require_ok(context.tune())


@check(
    id="TR401",
    title="logs the metrics that config.yaml names",
    clause="docs/how-to/conformance.md: `actions.train.metrics` of config.yaml maps categories to keys",
    why="The platform draws the charts that config.yaml names: one without points stays empty, others are not there.",
    fix="Make config.yaml and the calls of run.log_metric agree, letter by letter.",
    before='metrics: {train: [loss]}   # and run.log_metric("training", "loss", …)',
    after='metrics: {train: [loss]}   # and run.log_metric("train", "loss", …)',
)
def logs_what_config_names(context: CheckContext) -> None:
    observation = require_training(context)
    named = _read_config_metrics(context)
    if not named:
        context.raise_not_applicable("no config.yaml names metrics")
    logged = {(point["category"], point["key"]) for point in observation.recorder.metrics()}
    context.note(named=len(named), logged=len(logged))
    for category, key in sorted(named - logged):
        context.fail(
            f"config.yaml names {category}/{key}, which is not logged",
            signature="not logged",
            where=context.locate_hook(),
        )
    for category, key in sorted(logged - named):
        context.fail(
            f"{category}/{key} is logged, and config.yaml does not name it",
            signature="not named",
            where=context.locate_hook(),
        )


def _read_config_metrics(context: CheckContext) -> set[tuple[str, str]]:
    file = find_config_file(context)
    if file is None:
        return set()
    action = load_yaml(file)["actions"]["train"]
    metrics = action.get("metrics") or {}
    if not isinstance(metrics, Mapping):
        return set()
    return {(str(category), str(key)) for category, keys in metrics.items() for key in keys or ()}


@check(
    id="TR402",
    title="images can be shown",
    clause=f"{_RUN}: run.log_visualization takes a path, PNG or JPEG bytes, a PIL image, an array",
    why="A picture that does not decode is an empty frame in every browser, and one that is refused ends the run.",
    fix="Save the figure as PNG and log its path or bytes; arrays are H×W×3, uint8 or floats in 0..1.",
    before='run.log_visualization("val", "curve", 0, figure.canvas.buffer_rgba().tobytes())',
    after='figure.savefig(buffer, format="png")\nrun.log_visualization("val", "curve", 0, buffer.getvalue())',
)
def images_can_be_shown(context: CheckContext) -> None:
    require_load(context)
    observations = [context.train()]
    if "tune" in context.load().hook_signatures:
        observations.append(context.tune())
    images = 0
    for observation in observations:
        calls = observation.find_calls("log_visualization")
        for call in calls:
            if str(call["raised"] or "").startswith("BadValue"):
                context.fail(
                    f"run.log_visualization refused: {call['raised']}",
                    signature="image refused",
                    where=locate_call(call),
                )
        if observation.has_ended and observation.has_recording:
            for image in observation.recorder.visualizations():
                images += 1
                fault = _find_image_fault(str(image["file"]))
                where = locate_call(calls[0]) if calls else context.locate_hook()
                message = f"image {image['category']}/{image['group']} does not decode: {fault}"
                context.expect(not fault, message, signature="image broken", where=where)
    context.note(images=images)
    if not images:
        context.raise_not_applicable("the plugin logs no image")


def _find_image_fault(uri: str) -> str:
    """What is wrong with an image, or nothing. PNGs are read to their end; others by Pillow, where it is there."""
    content = base64.b64decode(uri.partition(",")[2])
    if content.startswith(b"\x89PNG"):
        return _find_png_fault(content)
    try:
        from PIL import Image
    except ImportError:
        return ""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        return str(error)
    return ""


def _find_png_fault(content: bytes) -> str:
    position, data, ended = 8, b"", False
    while position + 12 <= len(content) and not ended:
        (length,) = struct.unpack(">I", content[position : position + 4])
        kind, body = content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4 or struct.unpack(">I", checksum)[0] != zlib.crc32(kind + body):
            return "a part of it is cut off or damaged"
        data += body if kind == b"IDAT" else b""
        ended = kind == b"IEND"
        position += 12 + length
    if not ended:
        return "its end is missing"
    try:
        zlib.decompress(data)
    except zlib.error as error:
        return str(error)
    return ""


@check(
    id="TR403",
    title="the trial table has room for every metric",
    level="extended",
    needs={"tunes"},
    clause=f"docs/how-to/jobs.md: the trial table shows {METRIC_COLUMNS} metrics, the objective first",
    why="People compare trials by the table. What is reported beyond its columns is not in it, by order of sight.",
    fix="Report what trials are judged by, and log the rest with run.log_metric().",
    before="run.report({**losses, **accuracies, **times})",
    after='run.report({"loss": loss, "accuracy": accuracy})',
)
def table_has_room(context: CheckContext) -> None:
    observation = require_tuning(context)
    context.require_events(observation, "trial_result")
    seen: dict[str, None] = {}
    for reports in group_reports(observation).values():
        for report in reports:
            flat = flatten_mapping(report["metrics"])
            numbers = (k for k, v in flat.items() if is_number(v))
            seen.update(dict.fromkeys(key for key in numbers if key not in RESULT_KEYS))
    message = f"trials report {len(seen)} metrics: {', '.join(seen)}"
    context.expect(
        len(seen) <= METRIC_COLUMNS, message, signature="too many metrics", where=context.locate_hook("tune")
    )


@check(
    id="TR404",
    title="messages have a level that is known",
    clause=f"{_RUN}: run.log_message takes info, success, warning or danger",
    why="Another level is refused: the message that was to tell of a problem becomes the problem.",
    fix="Use info, success, warning or danger.",
    before='run.log_message("diverged", "error")',
    after='run.log_message("diverged", "danger")',
)
def message_levels_are_known(context: CheckContext) -> None:
    require_load(context)
    observations = [context.train()]
    if "tune" in context.load().hook_signatures:
        observations.append(context.tune())
    seen = 0
    for observation in observations:
        for call in observation.find_calls("log_message"):
            seen += 1
            if str(call["raised"] or "").startswith("BadValue"):
                context.fail(
                    f"run.log_message refused: {call['raised']}", signature="message level", where=locate_call(call)
                )
    context.note(messages=seen)
    if not seen:
        context.raise_not_applicable("the plugin logs no message")


@check(
    id="TR405",
    title="what is sent is of a sane size",
    clause=f"{_RUN}: a metric is a point, a message is a line for people",
    why="Every viewer loads all of it. A weight matrix in a message or megabytes of output make the page unusable.",
    fix="Log figures of a few hundred kB, and put data into the artifact.",
    before="run.log_message(str(model.state_dict()))",
    after='run.log_message(f"{len(model.state_dict())} tensors")',
)
def sizes_are_sane(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        for kind in ("metric", "message", "visualization"):
            for entry in observation.recorder.events(kind):
                size, image = len(str(entry["data"])), len(entry["file"] or "")
                message = f"one {kind} has {max(size, image) // 1000} kB"
                held = size <= BIGGEST_ENTRY and image <= BIGGEST_IMAGE
                context.expect(
                    held,
                    message,
                    signature=f"size of {kind}",
                    where=_locate_largest_call(observation, kind) or context.locate_hook(),
                )
        message = f"the run printed {observation.output_bytes // 1000} kB"
        context.expect(
            _count_output_bytes(observation) <= BIGGEST_OUTPUT,
            message,
            signature="size of output",
            where=context.locate_hook(),
        )


def _count_output_bytes(observation: Observation) -> int:
    files = [
        path for name in layout.OUTPUT_FILES for path in observation.folder.glob(f"results/*/{layout.TRAIN_DIR}/{name}")
    ]
    return max(observation.output_bytes, sum(path.stat().st_size for path in files))


def _locate_largest_call(observation: Observation, kind: str) -> tuple[str, int] | None:
    calls = observation.find_calls(f"log_{kind}")
    return locate_call(max(calls, key=lambda call: len(str(call["args"])))) if calls else None


@check(
    id="TR406",
    title="logs no more than can be looked at",
    clause=f"{_RUN}: nothing waits for the network, and everything accepted is sent",
    why="A point per batch is millions of rows: the backend falls behind, and the page takes minutes to draw.",
    fix="Log once per epoch, or every n-th batch.",
    before='for batch in loader: run.log_metric("train", "loss", loss)',
    after='if step % 100 == 0:\n    run.log_metric("train", "loss", loss, step=step)',
)
def rate_is_sane(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        calls = [call for call in observation.calls if call["name"].startswith("log_")]
        within = [b["time"] - a["time"] for a, b in zip(calls, calls[MOST_A_SECOND:], strict=False)]
        context.note(calls=len(calls))
        message = f"{len(calls)} calls of run.log_*, more than {MOST_A_SECOND} of them within a second"
        held = not within or min(within) > 1.0
        context.expect(held, message, signature="log rate", where=locate_call(calls[0]) if calls else None)


@check(
    id="TR407",
    title="logs from the process that it was called in",
    clause=f"{_RUN}: run belongs to this run, in this process",
    why="A forked helper has a copy of run that numbers its events anew: of two with one number, one is lost.",
    fix="Send results back to the process that was called (a queue, pool.map), and log them there.",
    before="def worker(run, part): run.log_metric(…)  # in a multiprocessing.Process",
    after="for loss in pool.map(worker, parts): run.log_metric(…)",
)
def logs_from_its_own_process(context: CheckContext) -> None:
    for observation in _run_jobs(context):
        keys: dict[tuple[str, int], int] = {}
        for path in sorted(observation.folder.glob(f"results/*/{layout.SPOOL_DIR}/{layout.SPOOLS}")):
            for key in _read_sequences(path.read_bytes()):
                keys[path.name, key] = keys.get((path.name, key), 0) + 1
        twice = sum(count > 1 for count in keys.values())
        context.note(events=len(keys))
        message = f"{twice} events came twice under one number: run was used in a forked process"
        context.expect(not twice, message, signature="other process", where=context.locate_hook())


def _read_sequences(content: bytes) -> Iterator[int]:
    import json

    for line in content.splitlines():
        if line:
            yield int(json.loads(line)["seq"])


@check(
    id="TR408",
    title="each point is logged once",
    level="extended",
    clause=f"{_RUN}: run.log_metric records one point",
    why="A callback that is registered twice doubles every curve and every cost.",
    fix="Look for the second place that logs, often a callback of a library.",
    before="model.fit(callbacks=[Log(run), Log(run)])",
    after="model.fit(callbacks=[Log(run)])",
)
def points_come_once(context: CheckContext) -> None:
    observation = require_training(context)
    calls = [call for call in observation.find_calls("log_metric") if call["kwargs"]]
    if not calls:
        context.raise_vacuous("no point with a step was logged")
    for one, other in pairwise(sorted(calls, key=lambda call: (str(call["args"]), str(call["kwargs"])))):
        same = (one["args"], one["kwargs"]) == (other["args"], other["kwargs"])
        message = f"the point {one['args']} {one['kwargs']} was logged twice"
        context.expect(not same, message, signature="point twice", where=locate_call(other))
